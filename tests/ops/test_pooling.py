import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import export
from jax.test_util import check_grads

from fcnn import ops

from . import loops


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@st.composite
def pools(draw_one):
    rank = draw_one(st.integers(1, 3))
    each = lambda least, most: st.tuples(*[st.integers(least, most)] * rank)  # noqa: E731
    window = draw_one(each(1, 3))
    pads = [draw_one(st.tuples(*[st.integers(0, k - 1)] * 2)) for k in window]
    size = tuple(
        draw_one(st.integers(max(k - sum(p), 1), 7 if rank < 3 else 4))
        for k, p in zip(window, pads, strict=True)
    )
    return size, window, draw_one(each(1, 3)), pads, draw_one(st.booleans())


@settings(max_examples=20, derandomize=True, deadline=None)
@given(pools())
def test_pools_equal_loops(case):
    size, window, stride, pads, ceil = case
    x = draw(0, 2, *size, 3)
    both = (ops.max_pool, np.max), (ops.avg_pool, np.mean)
    ys = jax.jit(lambda x: [pool(x, window, stride, pads, ceil=ceil) for pool, _ in both])(x)
    for y, (_, reduction) in zip(ys, both, strict=True):
        expected = loops.pool(x, reduction, window, stride, pads, ceil)
        assert y.shape == expected.shape
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_never_counts(stride):
    x = draw(0, 2, 7, 6, 3) - 5
    pads = loops.same_pads((7, 6), (3, 2), (stride,) * 2, (1, 1))
    for pool, reduction in ((ops.max_pool, np.max), (ops.avg_pool, np.mean)):
        expected = loops.pool(x, reduction, (3, 2), (stride,) * 2, pads)
        np.testing.assert_allclose(pool(x, (3, 2), stride, "same"), expected, rtol=1e-5)


def test_windows_lie_side_by_side_unless_a_stride_is_given():
    x = np.arange(12.0).reshape(1, 12, 1)
    np.testing.assert_array_equal(ops.max_pool(x, 3)[0, :, 0], [2, 5, 8, 11])
    np.testing.assert_array_equal(ops.avg_pool(x, 4)[0, :, 0], [1.5, 5.5, 9.5])


def test_the_first_of_equal_maxima_gets_the_gradient():
    gradient = jax.grad(lambda x: ops.max_pool(x, 2).sum())(jnp.ones((1, 4, 1)))
    np.testing.assert_array_equal(gradient[0, :, 0], [1, 0, 1, 0])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bfloat16"])
def test_the_maximum_keeps_the_dtype(dtype):
    x = jnp.arange(6).reshape(1, 6, 1).astype(dtype)
    y = ops.max_pool(x, 3, 2, "same")
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[0, :, 0].astype(int), [2, 4, 5])


def test_means_of_bfloat16_are_summed_in_float32():
    x = jnp.full((1, 1000, 1), 1.5, "bfloat16")
    assert ops.avg_pool(x, 1000).item() == 1.5
    assert ops.adaptive_avg_pool(x, 1).item() == 1.5
    assert ops.avg_pool(x, 1000).dtype == ops.adaptive_avg_pool(x, 1).dtype == "bfloat16"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11])
def test_adaptive_bins_cover_the_input_as_evenly_as_they_can(size):
    x = draw(0, 2, 7, 3)
    bins = [
        slice(int(np.floor(i * 7 / size)), int(np.ceil((i + 1) * 7 / size))) for i in range(size)
    ]
    for pool, reduction in ((ops.adaptive_avg_pool, np.mean), (ops.adaptive_max_pool, np.max)):
        expected = np.stack([reduction(x[:, b], 1) for b in bins], 1)
        np.testing.assert_allclose(pool(x, size), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("window", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_blur_is_a_binomial_filter_over_a_reflected_border(window, stride):
    x = draw(0, 2, 7, 6, 2)
    line = np.array([1.0])
    for _ in range(window - 1):
        line = np.convolve(line, [0.5, 0.5])
    kernel = np.zeros((window, window, 1, 2)) + np.outer(line, line)[..., None, None]
    before, after = (window - 1) // 2, int(np.ceil((window - 1) / 2))
    padded = np.pad(x, [(0, 0), (before, after), (before, after), (0, 0)], "reflect")
    none = [(0, 0), (0, 0)]
    expected = loops.conv(padded, kernel, (stride, stride), none, (1, 1), groups=2)
    y = ops.blur_pool(x, window, stride)
    assert y.shape == (2, -(-7 // stride), -(-6 // stride), 2)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_a_blur_keeps_a_constant_and_damps_what_a_coarser_grid_cannot_hold():
    fast = np.tile([1.0, -1.0], 8).reshape(1, 16, 1)
    np.testing.assert_allclose(ops.blur_pool(np.ones((1, 16, 1))), 1, rtol=1e-6)
    np.testing.assert_allclose(ops.blur_pool(fast), 0, atol=1e-6)


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: ops.max_pool(x, 3, 2, 1),
        lambda x: ops.avg_pool(x, 3, 2, 1),
        lambda x: ops.adaptive_avg_pool(x, 3),
        lambda x: ops.adaptive_max_pool(x, 3),
        ops.blur_pool,
    ],
    ids=["max", "avg", "adaptive_avg", "adaptive_max", "blur"],
)
def test_derivatives_of_both_orders_and_modes_are_right_in_float64(pool):
    with jax.enable_x64(True):
        check_grads(jax.jit(pool), (draw(3, 1, 5, 4, 1).astype("f8"),), order=2)


@pytest.mark.parametrize("rows", [32_769, 40_001])
def test_large_odd_numbers_of_rows_of_three_are_computed_right(rows):
    x = draw(0, rows, 3, 3)
    pads = [(1, 1)]
    for pool, reduction in ((ops.max_pool, np.max), (ops.avg_pool, np.mean)):
        y = jax.jit(lambda x, pool=pool: pool(jax.nn.relu(x), 3, 2, 1))(x)
        expected = loops.pool(np.maximum(x, 0).astype("f8"), reduction, (3,), (2,), pads)
        np.testing.assert_allclose(y, expected, rtol=1e-5)
    y = jax.jit(lambda x: ops.adaptive_avg_pool(x, 2))(x)
    expected = np.stack([x[:, :2].mean(1), x[:, 1:].mean(1)], 1)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-6)


def test_the_batch_size_may_stay_open_when_a_program_is_exported():
    x = jax.ShapeDtypeStruct(export.symbolic_shape("b, 6, 6, 4"), "float32")
    for op in (
        lambda x: ops.max_pool(x, 3, 2, 1, ceil=True),
        lambda x: ops.avg_pool(x, 3, 2, 1, ceil=True),
        lambda x: ops.adaptive_max_pool(x, 4),
        ops.blur_pool,
    ):
        (y,) = export.export(jax.jit(op))(x).out_avals
        assert str(y.shape[0]) == "b"


def test_windows_that_do_not_fit_or_see_only_padding_are_refused():
    x = jnp.ones((2, 2, 2, 1))
    for pool in (ops.max_pool, ops.avg_pool):
        with pytest.raises(ValueError, match="pool9: window 3x3 does not fit its input 2x2"):
            pool(x, 3, what="pool9")
        with pytest.raises(ValueError, match="padding 2 is not smaller than the window 2"):
            pool(x, 2, padding=2)
        with pytest.raises(ValueError, match="does not fit its input 0x2"):
            pool(x[:, :0], 1)
    for pool in (ops.adaptive_avg_pool, ops.adaptive_max_pool):
        with pytest.raises(ValueError, match="nothing to pool"):
            pool(x[:, :0], 1)
        with pytest.raises(ValueError, match="size must be a positive integer"):
            pool(x, 0)
    for pool in (ops.avg_pool, ops.adaptive_avg_pool, ops.blur_pool):
        with pytest.raises(TypeError, match="got uint8"):
            pool(x.astype("uint8"), 2)


def channels_last(tensor):
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


def agree(run, torch_run, x):
    """Outputs, beside each other in the channels, and gradients are the same."""
    import torch

    tensor = torch.tensor(x).requires_grad_()
    t = torch.cat(torch_run(tensor.movedim(-1, 1)), 1)
    dy = draw(9, *channels_last(t).shape)
    t.backward(torch.tensor(np.moveaxis(dy, -1, 1).copy()))

    @jax.jit
    def both(x):
        y, pull = jax.vjp(lambda x: jnp.concatenate(run(x), -1), x)
        return y, pull(jnp.asarray(dy))[0]

    y, dx = both(x)
    np.testing.assert_allclose(y, channels_last(t), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dx, tensor.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("ceil", [False, True])
def test_torch_agrees_on_pools_with_every_option(rank, ceil):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    f = torch.nn.functional
    torch_max = (f.max_pool1d, f.max_pool2d, f.max_pool3d)[rank - 1]
    torch_avg = (f.avg_pool1d, f.avg_pool2d, f.avg_pool3d)[rank - 1]
    for at in [(2, 2, 0), (3, 2, 1), (2, 3, 1), (4, 3, 2)]:

        def run(x, at=at):
            return (
                ops.max_pool(x, *at, ceil=ceil),
                ops.avg_pool(x, *at, ceil=ceil),
                ops.avg_pool(x, *at, ceil=ceil, count_padding=True),
            )

        def torch_run(x, at=at):
            return (
                torch_max(x, *at, ceil_mode=ceil),
                torch_avg(x, *at, ceil_mode=ceil, count_include_pad=False),
                torch_avg(x, *at, ceil_mode=ceil, count_include_pad=True),
            )

        agree(run, torch_run, draw(0, 2, *(7, 6, 5)[:rank], 3))


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (7, 6), (4, 9)])
def test_torch_agrees_on_adaptive_pools(size):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    f = torch.nn.functional
    agree(
        lambda x: (ops.adaptive_avg_pool(x, size), ops.adaptive_max_pool(x, size)),
        lambda x: (f.adaptive_avg_pool2d(x, size), f.adaptive_max_pool2d(x, size)),
        draw(0, 2, 7, 6, 3),
    )
