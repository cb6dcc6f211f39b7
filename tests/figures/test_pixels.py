"""Arrays as colours: the same picture in every form, and what is no picture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.figures.pixels import colours, gray, resized, scale, tints

RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.integers(0, 256, [2, 5, 4, 3], dtype=np.uint8)


@pytest.mark.parametrize(
    "form",
    [
        PICTURE,
        PICTURE.astype(np.int64),
        PICTURE / 255,
        jnp.asarray(PICTURE / 255),
        (PICTURE.astype(np.uint16) * 257),
    ],
    ids=["uint8", "int64", "float64", "jax", "uint16"],
)
def test_a_picture_has_the_same_colours_in_every_form(form):
    np.testing.assert_allclose(colours(form), PICTURE / 255, atol=1e-7)


def test_bfloat16_and_booleans_are_pictures():
    half = jnp.asarray(PICTURE / 255, jnp.bfloat16)
    np.testing.assert_allclose(colours(half), PICTURE / 255, atol=0.01)
    assert colours(np.eye(3, dtype=bool)[None])[0, :, :, 0].tolist() == np.eye(3).tolist()


def test_gray_pictures_have_three_equal_colours_with_or_without_a_channel():
    plain = PICTURE[..., 0]
    expected = np.repeat(plain[..., None] / 255, 3, -1)
    np.testing.assert_allclose(colours(plain), expected)
    np.testing.assert_allclose(colours(plain[..., None]), expected)


def test_dark_pictures_stay_dark_and_normalised_ones_are_stretched_together():
    assert colours(np.full([1, 2, 2, 1], 0.1)).max() == pytest.approx(0.1)
    normal = (PICTURE / 255 - 0.45) / 0.22
    found = colours(normal)
    low, high = PICTURE.min(), PICTURE.max()
    np.testing.assert_allclose(found, (PICTURE - low.astype(float)) / (high - low), atol=1e-12)
    assert (colours(np.full([1, 2, 2, 1], 7.0)) == 0.5).all()  # nothing to stretch


def test_what_is_not_finite_is_drawn_without_a_warning():
    odd = np.array([[[0.2, np.nan], [np.inf, 0.4]]])
    assert np.isfinite(colours(odd)).all()


@pytest.mark.parametrize(
    "shape", [(4, 4), (2, 4, 4, 2), (2, 4, 4, 4), (2, 0, 4, 1), (2, 3, 4, 4, 1)]
)
def test_what_is_no_picture_is_refused_with_its_shape(shape):
    with pytest.raises(ValueError, match=r"1 or 3 channels, got \[" + str(shape[0])):
        colours(np.zeros(shape))


def test_grays_are_as_bright_as_the_colours():
    red, green, blue = gray(np.eye(3)[None])[0, :, 0]
    assert blue < red < green
    np.testing.assert_allclose(gray(np.full([1, 1, 3], 0.3)), 0.3)


def test_the_scale_of_a_map_is_its_strongest_pixels_and_never_0():
    flat = np.ones([100, 100])
    flat[0, 0] = -1000  # one pixel of ten thousand does not dim the others
    assert scale(flat) == 1
    lone = np.zeros([100, 100])
    lone[5, 5] = -3
    assert scale(lone) == 3
    assert scale(np.zeros([2, 2])) == 1
    assert scale(np.full([2, 2], np.nan)) == 1


def test_tints_tell_signs_apart_and_0_is_white_or_black():
    for_, none, against = tints(np.array([2.0, 0.0, -2.0]), 2.0, signed=True)
    assert for_[0] > for_[2]
    assert against[2] > against[0]
    assert none.min() > 0.95
    assert tints(np.array([0.0]), 1.0, signed=False).max() < 0.02
    brightness = tints(np.linspace(0, 1, 9), 1.0, signed=False).sum(-1)
    assert (np.diff(brightness) > 0).all()


def test_maps_are_resized_as_by_jax():
    maps = RANDOM.normal(size=[2, 3, 5])
    expected = jax.image.resize(maps, (2, 12, 7), "linear", antialias=False)
    np.testing.assert_allclose(resized(maps, 12, 7), expected, atol=1e-6)
    assert resized(maps, 3, 5) is maps
    assert (resized(maps[:, :1, :1], 4, 4) == maps[:, :1, :1]).all()
