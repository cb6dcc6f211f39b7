"""The programs for CPUs compute what lax's own operations compute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnn.ops import native
from fcnn.ops.cpu import dense
from fcnn.ops.geometry import geometry


@st.composite
def geometries(draw):
    """Windows of any kind on small inputs of one to three dimensions."""
    rank = draw(st.integers(1, 3))
    most = {1: 23, 2: 11, 3: 6}[rank]
    axes = []
    for _ in range(rank):
        window, stride, dilation = (draw(st.integers(1, n)) for n in (5, 4, 3))
        before = draw(st.integers(0, window + 1))
        size, count = draw(st.integers(1, most)), draw(st.integers(1, most))
        axes.append((size, window, stride, dilation, before, count))
    return geometry(*zip(*axes, strict=True))


def agree(made, expected):
    scale = np.abs(expected).max() + 1e-30
    error = np.abs(np.asarray(made, np.float64) - np.asarray(expected, np.float64)).max() / scale
    assert made.dtype == expected.dtype
    assert made.shape == expected.shape
    assert error <= (1e-12 if made.dtype == jnp.float64 else 1e-5), (error, scale)


def compare(at, n, c, d, dtype=jnp.float64, seed=0):
    """All three operations against lax's in float64."""
    rng = np.random.default_rng(seed)
    shapes = (n, *at.size, c), (*at.window, c, d), (n, *at.count, d)
    with jax.enable_x64(True):
        exact = [rng.standard_normal(shape) for shape in shapes]
        x, kernel, g = (jnp.asarray(a, dtype) for a in exact)
        for name, a, b in (
            ("output", x, kernel),
            ("input_gradient", g, kernel),
            ("kernel_gradient", x, g),
        ):
            expected = getattr(native, name)(a.astype(jnp.float64), b.astype(jnp.float64), at)
            made = jax.jit(getattr(dense, name), static_argnums=2)(a, b, at)
            agree(made, expected.astype(dtype))


@settings(max_examples=6, deadline=None)
@given(geometries(), st.sampled_from([1, 2, 3, 4, 5, 17, 20]), st.sampled_from([1, 3, 18]),
       st.sampled_from([1, 2, 7]), st.integers(0, 99))  # fmt: skip
def test_any_geometry(at, c, d, n, seed):
    compare(at, n, c, d, seed=seed)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize(
    ("n", "size", "c", "d", "window", "stride", "before", "count"),
    [
        (2, (40, 40), 32, 32, (3, 3), (1, 1), (1, 1), (40, 40)),  # a spare row; a halved sum
        (1, (7, 7), 40, 48, (3, 3), (1, 1), (1, 1), (7, 7)),  # one picture
        (2, (300,), 1, 8, (131,), (1,), (65,), (300,)),  # a long window
        (2, (20, 20), 4, 8, (9, 9), (1, 1), (4, 4), (20, 20)),  # many cells, few channels
        (2, (33, 33), 3, 8, (9, 9), (2, 2), (4, 4), (17, 17)),
        (12, (33, 31), 17, 20, (3, 3), (2, 2), (1, 1), (17, 16)),  # columns as channels, uneven
        (3, (32, 32), 16, 32, (3, 3), (2, 2), (0, 0), (16, 16)),  # "same" of an even size
        (2, (28, 30), 20, 24, (4, 4), (2, 2), (1, 1), (14, 15)),  # DCGAN
        (2, (41, 43), 3, 20, (7, 7), (2, 2), (3, 3), (21, 22)),  # a stem
        (3, (24, 24), 3, 32, (4, 4), (4, 4), (0, 0), (6, 6)),  # patches side by side
        (5, (4, 4), 20, 18, (4, 4), (1, 1), (0, 0), (1, 1)),  # one window
        (3, (20, 20), 24, 1, (3, 3), (1, 1), (1, 1), (20, 20)),  # one feature
        (4, (300,), 12, 20, (5,), (2,), (2,), (150,)),  # a sequence
        (2, (6, 12, 12), 8, 20, (3, 3, 3), (1, 2, 2), (1, 1, 1), (6, 6, 6)),  # a volume
        (5, (96, 96), 3, 8, (3, 3), (1, 1), (1, 1), (96, 96)),  # sums of 46,080 terms
        (127, (24, 24), 5, 6, (3, 3), (1, 1), (1, 1), (24, 24)),  # a prime, and 73,152 terms
    ],
)
def test_every_program(dtype, n, size, c, d, window, stride, before, count):
    at = geometry(size, window, stride, (1,) * len(size), before, count)
    compare(at, n, c, d, dtype)


def test_the_stride_of_columns_becomes_channels():
    at = geometry((32, 32), (3, 3), (2, 2), (1, 1), (1, 1), (16, 16))
    x, kernel = jnp.zeros((4, 32, 32, 16)), jnp.zeros((3, 3, 16, 32))
    program = str(jax.make_jaxpr(lambda x, kernel: dense.output(x, kernel, at))(x, kernel))
    assert "window_strides=(2, 1)" in program


def test_a_volume_is_convolved_as_planes():
    at = geometry((8, 8, 8), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), (8, 8, 8))
    x, kernel = jnp.zeros((2, 8, 8, 8, 8)), jnp.zeros((3, 3, 3, 8, 16))
    jaxpr = jax.make_jaxpr(lambda x, kernel: dense.output(x, kernel, at))(x, kernel)
    (made,) = [e for e in jaxpr.eqns if e.primitive.name == "conv_general_dilated"]
    assert [v.aval.ndim for v in made.invars] == [4, 4]


def test_no_gradient_needs_a_transposed_convolution():
    """XLA's program for one in a loop is naive: only the plain form, NHWC and HWIO, may occur."""
    at = geometry((32, 32), (3, 3), (2, 2), (1, 1), (1, 1), (16, 16))
    x, kernel, g = (jnp.zeros(s) for s in ((4, 32, 32, 16), (3, 3, 16, 32), (4, 16, 16, 32)))
    there = str(jax.make_jaxpr(lambda g, k: dense.input_gradient(g, k, at))(g, kernel))
    assert "lhs_dilation=(1, 1)" in there
    assert "lhs_dilation=(2" not in there
    weights = str(jax.make_jaxpr(lambda x, g: dense.kernel_gradient(x, g, at))(x, g))
    assert "conv_general_dilated" not in weights
