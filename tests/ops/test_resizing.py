import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.test_util import check_grads

from fcnn import ops

SIZES = [(1, 1), (3, 5), (9, 8), (12, 3), (18, 16), (4, 40)]
PILLOW = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("method", PILLOW)
def test_pillow_agrees_on_every_method(method):
    image = pytest.importorskip("PIL.Image")
    x = draw(0, 9, 8)
    for h, w in SIZES:
        expected = np.asarray(image.fromarray(x).resize((w, h), PILLOW[method]))
        y = ops.resize(x[None, ..., None], (h, w), method)[0, ..., 0]
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_torch_agrees_with_and_without_antialias_and_with_aligned_corners(method):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    x = draw(0, 2, 9, 8, 3)
    options = [{"antialias": True}, {"antialias": False}, {"align_corners": True}]
    for size, option in itertools.product(SIZES, options):
        tensor = torch.tensor(x).requires_grad_()
        t = torch.nn.functional.interpolate(
            tensor.movedim(-1, 1), size, mode=method, **option
        ).movedim(1, -1)
        y, pull = jax.vjp(lambda x, s=size, o=option: ops.resize(x, s, method, **o), x)
        dy = draw(1, *y.shape)
        t.backward(torch.tensor(dy))
        np.testing.assert_allclose(y, t.detach(), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(pull(jnp.asarray(dy))[0], tensor.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_torch_agrees_on_nearest_cells_of_any_rank(rank):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    x = draw(0, 2, *(5, 4, 3)[:rank], 2)
    for size in ((10, 8, 6), (3, 7, 2), (5, 4, 3)):
        t = torch.nn.functional.interpolate(
            torch.tensor(x).movedim(-1, 1), size[:rank], mode="nearest-exact"
        )
        np.testing.assert_array_equal(ops.resize(x, size[:rank]), t.movedim(1, -1))


def test_nearest_cells_are_those_whose_square_holds_the_new_centre():
    x = np.arange(6.0).reshape(1, 6, 1)
    for m in range(1, 20):
        centres = (np.arange(m) + 0.5) * 6 / m
        np.testing.assert_array_equal(ops.resize(x, m)[0, :, 0], np.floor(centres))


def test_linear_interpolation_equals_that_of_numpy():
    x, at = draw(0, 7), np.clip((np.arange(17) + 0.5) * 7 / 17 - 0.5, 0, 6)
    expected = np.interp(at, np.arange(7), x)
    for antialias in (True, False):
        y = ops.resize(x[None, :, None], 17, "bilinear", antialias=antialias)
        np.testing.assert_allclose(y[0, :, 0], expected, rtol=1e-5, atol=1e-6)
    expected = np.interp(np.linspace(0, 6, 17), np.arange(7), x)
    y = ops.resize(x[None, :, None], 17, "bilinear", align_corners=True)
    np.testing.assert_allclose(y[0, :, 0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(3, 5), (11, 16)])
def test_a_constant_stays_the_same_and_so_does_the_dtype(method, size):
    for dtype in ("float32", "bfloat16"):
        y = ops.resize(jnp.full((1, 7, 8, 2), 3.0, dtype), size, method)
        assert y.dtype == dtype
        np.testing.assert_allclose(y.astype("float32"), 3, rtol=1e-5)


def test_nearest_keeps_integers():
    x = np.arange(4, dtype=np.uint8).reshape(1, 4, 1)
    y = ops.resize(x, 8)
    assert y.dtype == np.uint8
    np.testing.assert_array_equal(y[0, :, 0], np.repeat(np.arange(4), 2))


def test_derivatives_of_both_modes_are_right_in_float64():
    x = draw(0, 1, 4, 3, 2).astype("f8")
    with jax.enable_x64(True):
        for method in PILLOW:
            resize = jax.jit(lambda x, m=method: ops.resize(x, (6, 5), m) ** 2)
            check_grads(resize, (x,), order=1)


@pytest.mark.parametrize("rows", [32_769, 40_001])
def test_large_odd_numbers_of_rows_of_three_are_computed_right(rows):
    x = draw(0, rows, 3, 3)
    at = np.clip((np.arange(5) + 0.5) * 3 / 5 - 0.5, 0, 2)
    low, part = np.minimum(at.astype(int), 1), at - np.minimum(at.astype(int), 1)
    expected = x[:, low] * (1 - part)[:, None] + x[:, low + 1] * part[:, None]
    y = jax.jit(lambda x: ops.resize(x, 5, "bilinear"))(x)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pixel_shuffle_moves_channels_into_space_and_unshuffle_back(rank):
    r, c, size = 2, 3, (3, 2, 4)[:rank]
    x = draw(0, 2, *size, c * r**rank)
    y = ops.pixel_shuffle(x, r)
    assert y.shape == (2, *(r * n for n in size), c)
    for at in np.ndindex(y.shape):
        n, *cell, channel = at
        part = 0
        for i in cell:
            part = part * r + i % r
        assert y[at] == x[(n, *(i // r for i in cell), channel * r**rank + part)]
    np.testing.assert_array_equal(ops.pixel_unshuffle(y, r), x)


def test_torch_agrees_on_pixel_shuffle_and_unshuffle():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    x = draw(0, 2, 6, 9, 18)
    tensor = torch.tensor(x).movedim(-1, 1)
    for ours, theirs in (
        (ops.pixel_shuffle, torch.nn.functional.pixel_shuffle),
        (ops.pixel_unshuffle, torch.nn.functional.pixel_unshuffle),
    ):
        np.testing.assert_array_equal(ours(x, 3), theirs(tensor, 3).movedim(1, -1))


def test_an_empty_batch_stays_empty():
    x = jnp.ones((0, 4, 4, 4))
    assert ops.pixel_shuffle(x, 2).shape == (0, 8, 8, 1)
    assert ops.pixel_unshuffle(x, 2).shape == (0, 2, 2, 16)
    assert ops.resize(x, 3, "bicubic").shape == (0, 3, 3, 4)


def test_the_batch_size_may_stay_open_when_a_program_is_exported():
    x = jax.ShapeDtypeStruct(export.symbolic_shape("b, 6, 6, 4"), "float32")
    for op in (
        lambda x: ops.resize(x, (12, 5)),
        lambda x: ops.resize(x, 5, "bicubic"),
        lambda x: ops.pixel_shuffle(x, 2),
        lambda x: ops.pixel_unshuffle(x, 2),
    ):
        (y,) = export.export(jax.jit(op))(x).out_avals
        assert str(y.shape[0]) == "b"


def test_options_that_suit_no_input_are_refused():
    x = jnp.ones((1, 4, 4, 6))
    with pytest.raises(ValueError, match="nearest, bilinear, bicubic, lanczos, got 'cubic'"):
        ops.resize(x, 8, "cubic")
    with pytest.raises(ValueError, match="align_corners goes with bilinear and bicubic"):
        ops.resize(x, 8, "bilinear", antialias=True, align_corners=True)
    with pytest.raises(ValueError, match="align_corners goes with bilinear and bicubic"):
        ops.resize(x, 8, align_corners=True)
    with pytest.raises(TypeError, match=r"up computes .* got uint8"):
        ops.resize(x.astype("uint8"), 8, "bilinear", what="up")
    with pytest.raises(ValueError, match="nothing to resize"):
        ops.resize(x[:, :0], 8)
    with pytest.raises(ValueError, match=r"up: size .* has 3 entries"):
        ops.resize(x, (8, 8, 8), what="up")
    with pytest.raises(ValueError, match=r"6 channels do not divide by 2\^2 = 4"):
        ops.pixel_shuffle(x, 2)
    with pytest.raises(ValueError, match=r"sizes of float32\[1,4,4,6\] do not divide by 3"):
        ops.pixel_unshuffle(x, 3)
