"""Any tree of arrays comes back as it was: every dtype, shape and way to lie in memory."""

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fcnn.store import tensors
from fcnn.store.checkpoints import read_checkpoint, write_checkpoint

KEYS = ("threefry2x32", "rbg", "unsafe_rbg")
NAMES = ("a", "b", "kernel", "conv 1", "ü", "..", "a.npy", "\u2028", "state.npz", "-")
LAYOUTS = {
    "C": lambda a: a,
    "Fortran": np.asfortranarray,
    "transposed": lambda a: a.T,
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2] if a.ndim else a,
    "reversed": lambda a: a[::-1] if a.ndim else a,
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape) if a.ndim else a,
    "swapped": lambda a: a.astype(a.dtype.newbyteorder("S")),
    "read-only": lambda a: (a.setflags(write=False), a)[1],
    "jax": jax.numpy.asarray,
}


def bits(dtype, shape, seed):
    """Random bits: every number a dtype has, NaNs with their payloads too."""
    numbers = np.random.Generator(np.random.Philox(seed))
    if dtype.name in ("bool", "int2", "int4", "uint2", "uint4", "float4_e2m1fn"):
        low = -1 if dtype.name.startswith("int") else 0
        return numbers.integers(low, 2, shape).astype(dtype)
    size = int(np.prod(shape, dtype=int)) * dtype.itemsize
    return np.frombuffer(numbers.bytes(size), dtype).reshape(shape).copy()


@st.composite
def leaves(draw):
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    if draw(st.integers(0, 9)) == 0:
        impl, seed = draw(st.sampled_from(KEYS)), draw(st.integers(0, 99))
        words = (*shape, 2 if impl == KEYS[0] else 4)
        return jax.random.wrap_key_data(bits(np.dtype("uint32"), words, seed), impl=impl)
    dtype = tensors.DTYPES[draw(st.sampled_from(sorted(tensors.DTYPES)))]
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    if layout == "jax" and jax.dtypes.canonicalize_dtype(dtype) != dtype:
        layout = "C"
    return LAYOUTS[layout](bits(dtype, shape, draw(st.integers(0, 2**32))))


def trees():
    return st.dictionaries(
        st.sampled_from(NAMES),
        st.recursive(
            leaves(),
            lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
            max_leaves=4,
        ),
        max_size=3,
    )


def assert_same(one, other, path=""):
    if isinstance(one, dict):
        assert isinstance(other, dict), path
        assert one.keys() == other.keys(), path
        for name in one:
            assert_same(one[name], other[name], f"{path}/{name}")
        return
    assert one.shape == other.shape, path
    if jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
        assert one.dtype == other.dtype, path
        one, other = jax.random.key_data(one), jax.random.key_data(other)
    assert one.dtype.name == other.dtype.name, path
    native = np.asarray(one).astype(one.dtype.newbyteorder("="))
    assert native.tobytes() == np.asarray(other).tobytes(), path


def many(count):
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_any_tree_of_arrays_comes_back_as_it_was(count):
    seen = []

    @many(count)
    @given(trees())
    def check(tree):
        data, described = tensors.encode(tree)
        assert_same(tree, tensors.decode(memoryview(data), described))
        seen.append(len(described))

    check()
    print(f"{len(seen)} trees with {sum(seen)} arrays")
    assert len(seen) >= count


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_any_tree_of_arrays_comes_back_from_a_checkpoint(count, tmp_path):
    steps = iter(range(count * 10))

    @many(count)
    @given(trees())
    def check(tree):
        path = write_checkpoint(tmp_path, next(steps), tree, {})
        assert_same(tree, read_checkpoint(path).values)

    check()
