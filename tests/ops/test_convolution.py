import itertools

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
def convolutions(draw_one, most=8):
    rank = draw_one(st.integers(1, 3))
    each = lambda least, most: st.tuples(*[st.integers(least, most)] * rank)  # noqa: E731
    window, dilation = draw_one(each(1, 3)), draw_one(each(1, 2))
    pads = [draw_one(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in range(rank)]
    size = tuple(
        draw_one(st.integers(max(d * (k - 1) + 1 - sum(p), 1), most if rank < 3 else 5))
        for k, d, p in zip(window, dilation, pads, strict=True)
    )
    groups = draw_one(st.integers(1, 2))
    return {
        "size": size,
        "window": window,
        "stride": draw_one(each(1, 3)),
        "dilation": dilation,
        "pads": pads,
        "groups": groups,
        "c": groups * draw_one(st.integers(1, 2)),
        "features": groups * draw_one(st.integers(1, 2)),
    }


@settings(max_examples=20, derandomize=True, deadline=None)
@given(convolutions())
def test_a_convolution_and_its_gradients_equal_loops(case):
    c, features, groups = case["c"], case["features"], case["groups"]
    x = draw(0, 2, *case["size"], c)
    kernel = draw(1, *case["window"], c // groups, features)
    options = {name: case[name] for name in ("stride", "dilation", "groups")}

    @jax.jit
    def run(x, kernel, dy):
        y, pull = jax.vjp(lambda *a: ops.conv(*a, padding=case["pads"], **options), x, kernel)
        return y, pull(dy)

    expected = loops.conv(x, kernel, pads=case["pads"], **options)
    dy = draw(2, *expected.shape)
    y, gradients = run(x, kernel, dy)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    wanted = loops.conv_gradients(x, kernel, dy, pads=case["pads"], **options)
    for gradient, want in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(gradient, want, rtol=1e-4, atol=1e-4)


@settings(max_examples=20, derandomize=True, deadline=None)
@given(convolutions(most=6))
def test_a_transposed_convolution_is_the_gradient_of_the_convolution(case):
    """Its input is the gradient that arrives, its output the one that is passed on."""
    c, features, groups = case["c"], case["features"], case["groups"]
    y = draw(0, 2, *case["size"], features)
    kernel = draw(1, *case["window"], features // groups, c)
    options = {name: case[name] for name in ("stride", "dilation", "groups")}
    x = draw(2, *loops.conv(y, kernel, pads=case["pads"], **options).shape)
    expected, _ = loops.conv_gradients(y, kernel, x, pads=case["pads"], **options)
    span = [d * (k - 1) + 1 for k, d in zip(case["window"], case["dilation"], strict=True)]
    lost = tuple(
        (n + sum(p) - k) % s
        for n, p, k, s in zip(case["size"], case["pads"], span, case["stride"], strict=True)
    )
    out = jax.jit(
        lambda x: ops.conv_transpose(
            x, kernel, padding=case["pads"], output_padding=lost, **options
        )
    )(x)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("window", [1, 2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_of_a_transpose_undoes_that_of_the_convolution(window, stride):
    x, kernel = draw(0, 1, 4, 3), draw(1, window, 2, 3)
    y = ops.conv_transpose(x, kernel, stride=stride)
    assert y.shape == (1, 4 * stride, 2)
    pads = loops.same_pads((4 * stride,), (window,), (stride,), (1,))
    expected, _ = loops.conv_gradients(np.zeros(y.shape), kernel, x, (stride,), pads, (1,))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_same_padding_gives_a_window_for_each_stride(stride, dilation):
    x, kernel = draw(0, 2, 7, 4, 2), draw(1, 3, 2, 2, 3)
    pads = loops.same_pads((7, 4), (3, 2), (stride,) * 2, (dilation,) * 2)
    y = ops.conv(x, kernel, stride=stride, dilation=dilation)
    expected = loops.conv(x, kernel, (stride,) * 2, pads, (dilation,) * 2)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")]
)
def test_padding_modes_repeat_the_input(mode, numpy_mode):
    x, kernel = draw(0, 2, 6, 5, 2), draw(1, 3, 4, 2, 3)
    for padding in ("same", 2):
        pads = [(1, 1), (1, 2)] if padding == "same" else [(2, 2), (2, 2)]
        padded = np.pad(x, [(0, 0), *pads, (0, 0)], numpy_mode)
        expected = loops.conv(padded, kernel, (1, 1), [(0, 0), (0, 0)], (1, 1))
        y = ops.conv(x, kernel, padding=padding, padding_mode=mode)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_window_of_one_cell_is_a_matrix_product(stride):
    x, kernel = draw(0, 2, 5, 6, 3), draw(1, 1, 1, 3, 4)
    y = ops.conv(x, kernel, stride=stride)
    expected = x[:, ::stride, ::stride].astype(np.float64) @ kernel[0, 0]
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    program = jax.jit(lambda x, kernel: ops.conv(x, kernel, stride=stride)).lower(x, kernel)
    assert "stablehlo.dot_general" in program.as_text()


@pytest.mark.parametrize("op", [ops.conv, ops.conv_transpose])
def test_derivatives_of_both_orders_and_modes_are_right_in_float64(op):
    with jax.enable_x64(True):
        x, kernel = draw(0, 1, 4, 3, 2).astype("f8"), draw(1, 2, 2, 1, 2).astype("f8")
        check_grads(jax.jit(lambda *a: op(*a, stride=2, groups=2)), (x, kernel), order=2)


@pytest.mark.parametrize("op", [ops.conv, ops.conv_transpose])
def test_float64_is_computed_in_float64(op):
    with jax.enable_x64(True):
        x, kernel = draw(0, 2, 6, 3).astype("f8"), draw(1, 3, 3, 3).astype("f8")
        y = op(x, kernel, padding=1)
        if op is ops.conv:
            expected = loops.conv(x, kernel, (1,), [(1, 1)], (1,))
        else:
            expected, _ = loops.conv_gradients(x, kernel, x, (1,), [(1, 1)], (1,))
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [32_769, 40_001])
def test_large_odd_numbers_of_rows_of_three_are_computed_right(rows):
    x, kernel = draw(0, rows, 3, 3), draw(1, 3, 3, 4)

    @jax.jit
    def run(x, kernel):
        y, pull = jax.vjp(lambda x, k: jax.nn.relu(ops.conv(x, k)), x, kernel)
        return y, pull(y), y.mean((0, 1))

    y, (dx, dkernel), mean = run(x, kernel)
    expected = np.maximum(loops.conv(x, kernel, (1,), [(1, 1)], (1,)), 0)
    wanted = loops.conv_gradients(x, kernel, expected, (1,), [(1, 1)], (1,))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dx, wanted[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dkernel, wanted[1], rtol=1e-4)
    np.testing.assert_allclose(mean, expected.mean((0, 1)), rtol=1e-4)


def test_the_batch_size_may_stay_open_when_a_program_is_exported():
    x = jax.ShapeDtypeStruct(export.symbolic_shape("b, 6, 6, 4"), "float32")
    for op in (
        lambda x: ops.conv(x, np.ones((3, 3, 2, 4), "f4"), stride=2, groups=2),
        lambda x: ops.conv(x, np.ones((1, 1, 4, 4), "f4"), padding_mode="reflect"),
        lambda x: ops.conv_transpose(x, np.ones((3, 3, 2, 4), "f4"), stride=2, groups=2),
    ):
        (y,) = export.export(jax.jit(op))(x).out_avals
        assert str(y.shape[0]) == "b"


def test_channels_and_ranks_that_do_not_agree_are_refused_with_both_numbers():
    x = jnp.ones((2, 8, 8, 1))
    with pytest.raises(ValueError, match="stem: the kernel is made for 3 channels and x has 1"):
        ops.conv(x, jnp.ones((3, 3, 3, 4)), what="stem")
    with pytest.raises(ValueError, match="made for 3 channels and x has 1"):
        ops.conv_transpose(x, jnp.ones((3, 3, 4, 3)))
    with pytest.raises(ValueError, match="7 channels do not divide into 2 groups"):
        ops.conv(jnp.ones((2, 8, 7)), jnp.ones((3, 3, 4)), groups=2)
    with pytest.raises(ValueError, match="5 features do not divide into 2 groups"):
        ops.conv(jnp.ones((2, 8, 6)), jnp.ones((3, 3, 5)), groups=2)
    with pytest.raises(ValueError, match="for 1 spatial dimension has 3 axes"):
        ops.conv(jnp.ones((2, 8, 1)), jnp.ones((3, 3, 1, 4)))
    with pytest.raises(TypeError, match="got int32"):
        ops.conv(x.astype(int), jnp.ones((3, 3, 1, 4)))


def test_a_transpose_that_leaves_nothing_is_refused():
    x, kernel = jnp.ones((1, 1, 1)), jnp.ones((1, 1, 1))
    with pytest.raises(ValueError, match="conv_transpose: kernel 1 does not fit its input 1 with"):
        ops.conv_transpose(x, kernel, padding=1)
    with pytest.raises(ValueError, match="leaves nothing to output_padding"):
        ops.conv_transpose(x, kernel, stride=2, output_padding=1)
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        ops.conv_transpose(x, kernel, padding=0, output_padding=-1)


def channels_last(tensor):
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


def both(run, torch_run, *arrays):
    """Output and gradients of the two, for the same weights on the output."""
    import torch

    y, pull = jax.vjp(run, *arrays)
    tensors = [torch.tensor(np.asarray(a)).requires_grad_() for a in arrays]
    t = torch_run(*tensors)
    dy = draw(9, *y.shape)
    t.backward(torch.tensor(np.moveaxis(dy, -1, 1).copy()))
    np.testing.assert_allclose(y, channels_last(t), rtol=1e-5, atol=1e-5)
    for gradient, tensor in zip(pull(jnp.asarray(dy)), tensors, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_torch_agrees_on_convolutions(rank):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    fn = [torch.conv1d, torch.conv2d, torch.conv3d][rank - 1]
    size = [(9,), (7, 6), (5, 4, 6)][rank - 1]
    cases = itertools.product((1, 2), (0, 1), (1, 2), (1, 2))
    for stride, padding, dilation, groups in cases if rank == 2 else [(2, 1, 1, 2), (1, 2, 2, 1)]:
        x, kernel = draw(0, 2, *size, 4), draw(1, *(3, 2, 3)[:rank], 4 // groups, 6)
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        both(
            jax.jit(lambda x, k, o=options: ops.conv(x, k, **o)),
            lambda x, k, o=options: fn(
                x.movedim(-1, 1), k.permute(rank + 1, rank, *range(rank)), **o
            ),
            x,
            kernel,
        )


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_torch_agrees_on_transposed_convolutions(rank):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    fns = torch.nn.functional.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d
    size = [(5,), (4, 3), (3, 2, 3)][rank - 1]
    cases = [(2, 1, 1, 1, 2), (1, 0, 0, 2, 1)]
    if rank == 2:
        cases += [(2, 0, 1, 1, 1), (2, 1, 0, 2, 1), (3, 2, 1, 1, 2), (3, 0, 0, 1, 1)]
    for stride, extra, padding, dilation, groups in cases:
        x, kernel = draw(0, 2, *size, 4), draw(1, *(3, 2, 3)[:rank], 6 // groups, 4)
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        options["output_padding"] = extra
        both(
            jax.jit(lambda x, k, o=options: ops.conv_transpose(x, k, **o)),
            lambda x, k, o=options: fns[rank - 1](
                x.movedim(-1, 1), k.permute(rank + 1, rank, *range(rank)), **o
            ),
            x,
            kernel,
        )


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_torch_agrees_on_padding_modes(mode):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    module = torch.nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode, bias=False)
    x, kernel = draw(0, 2, 5, 6, 2), draw(1, 3, 3, 2, 3)
    both(
        jax.jit(lambda x, k: ops.conv(x, k, padding=(1, 2), padding_mode=mode)),
        lambda x, k: torch.func.functional_call(
            module, {"weight": k.permute(3, 2, 0, 1)}, x.movedim(-1, 1)
        ),
        x,
        kernel,
    )
