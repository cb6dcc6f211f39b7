"""Any tree of arrays comes back exactly, and a zip that does not fit its tree is refused."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnn.store import tensors

NAMES = st.text("abcxyzü .-_0", min_size=1, max_size=8)


@st.composite
def array(draw):
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=4)))
    dtype = tensors.DTYPES[draw(st.sampled_from(sorted(tensors.DTYPES)))]
    numbers = np.random.Generator(np.random.Philox(draw(st.integers(0, 99))))
    values = numbers.integers(0, 2, shape).astype(np.int8).astype(dtype)
    match draw(st.sampled_from(["plain", "fortran", "strided", "swapped", "jax"])):
        case "fortran":
            return np.asarray(values, order="F")
        case "strided" if shape:
            return np.repeat(values, 2, axis=-1)[..., ::-2]
        case "swapped" if dtype.isbuiltin == 1:
            return values.astype(dtype.newbyteorder())
        case "jax" if jax.dtypes.canonicalize_dtype(dtype) == dtype:
            return jnp.asarray(values)
    return values


TREES = st.recursive(array(), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6)


def same(saved, loaded):
    if isinstance(saved, dict):
        assert saved.keys() == loaded.keys()
        for name in saved:
            same(saved[name], loaded[name])
    else:
        assert loaded.dtype == saved.dtype.newbyteorder("=")
        assert loaded.shape == saved.shape
        native = np.asarray(saved).astype(loaded.dtype)
        assert np.asarray(loaded).tobytes() == native.tobytes()


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(NAMES, TREES, max_size=3))
def test_any_tree_comes_back_exactly(values):
    data, tree = tensors.encode({"params": values})
    loaded = tensors.decode(memoryview(data), tree)
    same({"params": values}, loaded)
    assert tensors.encode(loaded) == (data, tree)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int4"])
def test_every_bit_pattern_of_a_narrow_dtype_survives(name):
    dtype = np.dtype(getattr(ml_dtypes, name))
    count = 16 if name == "int4" else 256**dtype.itemsize
    bits = np.arange(count, dtype=f"u{dtype.itemsize}").view(dtype)
    bits = bits.astype(np.int8).astype(dtype) if name == "int4" else bits
    data, tree = tensors.encode({"a": bits})
    assert tree == {"a": {"dtype": name, "shape": [count]}}
    same({"a": bits}, tensors.decode(memoryview(data), tree))


def test_64_bits_stay_64_bits_with_and_without_x64():
    values = {"a": np.array([1 / 3, 2**-1000]), "b": np.array(2**60 + 1)}
    data, tree = tensors.encode(values)
    same(values, tensors.decode(memoryview(data), tree))
    with jax.enable_x64(True):
        loaded = tensors.decode(memoryview(data), tree)
        assert isinstance(loaded["a"], jax.Array)
        same(values, loaded)


def test_keys_keep_their_generator():
    keys = {
        impl: jax.random.split(jax.random.key(7, impl=impl), 3)
        for impl in ("threefry2x32", "rbg", "unsafe_rbg")
    }
    data, tree = tensors.encode(keys)
    assert tree["rbg"] == {"dtype": "uint32", "shape": [3, 4], "key": "rbg"}
    for impl, key in tensors.decode(memoryview(data), tree).items():
        assert key.dtype == keys[impl].dtype
        assert (jax.random.bits(key[1]) == jax.random.bits(keys[impl][1])).all()


def test_the_order_of_insertion_changes_no_byte():
    a, b = np.zeros(2), np.ones(3)
    assert tensors.encode({"a": a, "b": b}) == tensors.encode({"b": b, "a": a})


def test_loaded_arrays_do_not_share_memory_with_the_file():
    data, tree = tensors.encode({"a": np.zeros(64, np.float32), "b": np.zeros(64)})
    buffer = bytearray(data)
    loaded = tensors.decode(memoryview(buffer), tree)
    buffer[:] = b"\xff" * len(buffer)
    assert (np.asarray(loaded["a"]) == 0).all()
    assert (loaded["b"] == 0).all()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": 1.0}, "a is a float; only nested dicts of arrays"),
        ({"a": None}, "a is a NoneType"),
        ({"a": {"b": [np.zeros(2)]}}, "a/b is a list"),
        ({"a": np.array([None])}, "a has dtype object"),
        ({"a": np.array(["x"])}, "a has dtype str"),
        ({"a": np.ma.array([1.0])}, "a is a MaskedArray"),
        ({"a": {"b/c": np.zeros(2)}}, "a has the key 'b/c'"),
        ({"a": {3: np.zeros(2)}}, "a has the key 3"),
    ],
)
def test_what_is_no_nested_dict_of_arrays_is_refused(value, words):
    with pytest.raises(TypeError, match=words):
        tensors.encode(value)


@pytest.mark.parametrize(
    "value",
    [{"a" * 600: np.zeros(1)}, {"a\0": np.zeros(1)}, {"a": np.zeros([1] * 17)}],
)
def test_what_lies_beyond_the_limits_is_refused(value):
    with pytest.raises(ValueError, match=r"zero|rank"):
        tensors.encode(value)


def test_a_tree_that_does_not_fit_is_refused():
    data, tree = tensors.encode({"a": np.zeros(3, np.float32), "b": np.zeros((2, 2), np.int32)})
    for wrong in (
        {**tree, "c": tree["a"]},
        {"a": {"dtype": "float32", "shape": [4]}},
        {"a": {"dtype": "int32", "shape": [3]}},
        {"a": {"dtype": "bfloat16", "shape": [3]}},
        {"b": tree["b"]},
        {"a": tree["a"], "a/b": tree["b"]},
    ):
        with pytest.raises(ValueError, match=r"."):
            tensors.decode(memoryview(data), wrong)
    tensors_end = data.index(b"PK\x01\x02")  # where the directory of the zip begins
    for n in range(tensors_end):
        with pytest.raises(ValueError, match=r"."):
            tensors.decode(memoryview(data)[:n], tree)
