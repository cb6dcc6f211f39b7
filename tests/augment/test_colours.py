import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import augment

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def picture():
    """Many colours, with grays, black and white among them."""
    x = np.random.default_rng(0).integers(0, 256, [24, 20, 3], dtype=np.uint8)
    x[:2] = x[:2, :, :1]
    x[2, :2] = [[0, 0, 0], [255, 255, 255]]
    return x


def difference(a, b):
    return np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max()


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(
    ("name", "enhancer"),
    [("brightness", "Brightness"), ("contrast", "Contrast"), ("saturation", "Color")],
)
def test_factors_equal_those_of_pillow(picture, name, enhancer, factor):
    image = pytest.importorskip("PIL.Image")
    enhance = pytest.importorskip("PIL.ImageEnhance")
    theirs = getattr(enhance, enhancer)(image.fromarray(picture)).enhance(factor)
    ours = getattr(augment, name)((factor, factor))(KEY, picture)
    assert ours.dtype == np.uint8
    # Pillow cuts fractions off where we round, and rounds its grays first
    assert difference(ours, theirs) <= (0 if factor == 1 else 2)


@pytest.mark.parametrize("turns", [-0.5, -0.2, 0.0, 0.1, 1 / 3])
def test_hue_equals_colorsys(picture, turns):
    x = picture.astype(np.float32) / 255

    def turned(pixel):
        h, s, v = colorsys.rgb_to_hsv(*pixel)
        return colorsys.hsv_to_rgb((h + turns) % 1, s, v)

    expected = np.apply_along_axis(turned, 2, x.astype(np.float64))
    ours = jax.jit(augment.hue((turns, turns)))(KEY, x)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    if turns == 0:
        np.testing.assert_array_equal(ours, x)
    np.testing.assert_array_equal(ours[:2], x[:2])  # the grays


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float16])
def test_nothing_is_changed_by_nothing(picture, dtype):
    x = jnp.asarray(picture if dtype == np.uint8 else (picture / 255).astype(dtype))
    for name in ("brightness", "contrast", "saturation", "hue"):
        for step in (getattr(augment, name)(0), augment.color_jitter(**{name: 0.0})):
            np.testing.assert_array_equal(jax.jit(step)(KEY, x), x, err_msg=repr(step))
    np.testing.assert_array_equal(jax.jit(augment.grayscale(0))(KEY, x), x)


def test_jitter_is_its_steps_one_after_another(picture):
    x = picture.astype(np.float32) / 255
    fixed = {"brightness": (1.3, 1.3), "contrast": (0.6, 0.6), "saturation": (1.5, 1.5),
             "hue": (0.1, 0.1)}  # fmt: skip
    expected = x
    for name, span in fixed.items():
        expected = getattr(augment, name)(span)(KEY, expected)
    np.testing.assert_allclose(jax.jit(augment.color_jitter(**fixed))(KEY, x), expected, atol=1e-6)


def test_jitter_draws_every_image_its_own_colours(picture):
    jitter = augment.color_jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    keys = jax.random.split(KEY, 8)
    batch = jax.jit(jax.vmap(jitter))(keys, np.stack([picture] * 8))
    assert len({image.tobytes() for image in np.asarray(batch)}) == 8
    means = jax.jit(jax.vmap(augment.brightness(0.5), (0, None)))(
        jax.random.split(KEY, 300), jnp.full([1, 1, 1], 0.4)
    )
    assert 0.2 <= means.min() < 0.22
    assert 0.58 < means.max() <= 0.6


def test_grayscale_leaves_three_channels_of_pillows_gray(picture):
    image = pytest.importorskip("PIL.Image")
    ours = np.asarray(jax.jit(augment.grayscale(1.0))(KEY, picture))
    assert ours.shape == picture.shape
    assert difference(ours, np.asarray(image.fromarray(picture).convert("L"))[..., None]) <= 1


def test_gray_images_have_brightness_and_contrast_but_no_colours():
    x = np.random.default_rng(0).random([6, 5, 1], np.float32)
    mean = x.mean()
    np.testing.assert_allclose(
        jax.jit(augment.contrast((0.5, 0.5)))(KEY, x), 0.5 * x + 0.5 * mean, rtol=1e-5
    )
    jax.jit(augment.color_jitter(brightness=0.4, contrast=0.4))(KEY, x)
    for step in (augment.saturation(), augment.hue(), augment.color_jitter(hue=0.1),
                 augment.grayscale()):  # fmt: skip
        with pytest.raises(ValueError, match=r"\[h, w, 3\] .*got \[6, 5, 1\]; leave them out"):
            jax.jit(step)(KEY, x)


def test_wrong_options_are_refused_when_it_is_made():
    with pytest.raises(ValueError, match=r"brightness must be a number from 0 on .*got -1"):
        augment.brightness(-1)
    with pytest.raises(ValueError, match=r"hue must be from -0.5 to 0.5, got \(0, 1\)"):
        augment.hue((0, 1))
    with pytest.raises(ValueError, match=r"contrast must be .*; saturation must be \(low, high\)"):
        augment.color_jitter(contrast="high", saturation=(2, 1))
    with pytest.raises(ValueError, match="probability"):
        augment.grayscale(2)
    with pytest.raises(TypeError, match="int32"):
        jax.jit(augment.brightness())(KEY, np.zeros([2, 2, 3], np.int32))
