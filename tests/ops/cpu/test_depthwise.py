import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnn.ops import native
from fcnn.ops.cpu import depthwise
from fcnn.ops.geometry import geometry


@st.composite
def _cases(draw):
    """A geometry of one to three dimensions, a batch and features for each channel."""
    axes = []
    for _ in range(draw(st.integers(1, 3))):
        n, k = draw(st.sampled_from([1, 2, 5, 8, 37])), draw(st.sampled_from([1, 2, 3, 7]))
        s, d = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        before, after = draw(st.integers(0, k)), draw(st.integers(-1, k))
        reach = (k - 1) * d
        count = max(1, (n + before + after - reach - 1) // s + 1)
        axes.append((n, k, s, d, before, count))
    channels = draw(st.sampled_from([1, 3, 8]))
    at = geometry(*zip(*axes, strict=True), groups=channels)
    return at, draw(st.sampled_from([1, 3, 8])), draw(st.sampled_from([1, 1, 2]))


def _arrays(at, batch, multiplier):
    random = np.random.default_rng(0)
    features = at.groups * multiplier
    x = random.standard_normal((batch, *at.size, at.groups))
    kernel = random.standard_normal((*at.window, 1, features))
    g = random.standard_normal((batch, *at.count, features))
    return x, kernel, g


def _close(fast, plain, a, b, at):
    with jax.enable_x64(True):
        want = np.asarray(jax.jit(plain, static_argnums=2)(a, b, at))
        for dtype, bound in ((np.float64, 1e-12), (np.float32, 1e-5)):
            run = jax.jit(fast, static_argnums=2)
            got = np.asarray(run(a.astype(dtype), b.astype(dtype), at))
            assert got.shape == want.shape
            assert got.dtype == dtype
            assert np.abs(got - want).max() <= bound * max(np.abs(want).max(), 1e-3)


@settings(max_examples=12, deadline=None)
@given(_cases())
def test_equals_lax(case):
    at, batch, multiplier = case
    x, kernel, g = _arrays(at, batch, multiplier)
    _close(depthwise.output, native.output, x, kernel, at)
    _close(depthwise.input_gradient, native.input_gradient, g, kernel, at)
    _close(depthwise.kernel_gradient, native.kernel_gradient, x, g, at)


@pytest.mark.parametrize(
    ("size", "window", "before"), [((2, 2), (7, 7), (3, 3)), ((1, 3), (5, 7), (2, 3))]
)
def test_cells_that_meet_only_padding_have_no_gradient(size, window, before):
    at = geometry(size, window, (1, 1), (1, 1), before, size, groups=8)
    x, kernel, g = _arrays(at, 3, 1)
    _close(depthwise.output, native.output, x, kernel, at)
    _close(depthwise.kernel_gradient, native.kernel_gradient, x, g, at)
    gradient = np.asarray(depthwise.kernel_gradient(x, g, at))
    assert not gradient[0].any()
    assert gradient[before].any()


def test_sums_over_many_cells():
    at = geometry((70_000,), (3,), (1,), (1,), (1,), (70_000,), groups=2)
    x, _, g = _arrays(at, 1, 1)
    _close(depthwise.kernel_gradient, native.kernel_gradient, x, g, at)


def test_a_norm_that_follows_leaves_the_sum_in_one_pass():
    at = geometry((16, 16), (7, 7), (1, 1), (1, 1), (3, 3), (16, 16), groups=48)

    def normed(x, kernel, bias):
        y = depthwise.output(2 * x, kernel, at) + bias
        return y - y.mean(-1, keepdims=True)

    shapes = [(16, 16, 16, 48), (7, 7, 1, 48), (48,)]
    program = jax.jit(normed).lower(*(jax.ShapeDtypeStruct(s, np.float32) for s in shapes))
    steps = program.compile().as_text().split("\nENTRY")[1].count("fusion(")
    assert steps < 10  # 30 where the last terms are written one by one
