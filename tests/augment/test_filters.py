import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import augment
from fcnn.augment.filters import gaussian

KEY = jax.random.key(0)
PICTURE = np.random.default_rng(0).random([19, 14, 3], np.float32)


@pytest.mark.parametrize("sigma", [0.3, 0.8, 2.0, 5.0])
def test_blur_equals_scipy(sigma):
    ndimage = pytest.importorskip("scipy.ndimage")
    expected = ndimage.gaussian_filter(PICTURE, sigma, mode="nearest", truncate=3, axes=(0, 1))
    np.testing.assert_allclose(jax.jit(augment.blur(sigma))(KEY, PICTURE), expected, atol=1e-5)


def test_a_narrow_blur_is_the_same_when_a_wide_one_might_have_been_drawn():
    ndimage = pytest.importorskip("scipy.ndimage")
    span, seen = (0.5, 2.0), []
    for key in jax.random.split(KEY, 3):
        ours = np.asarray(jax.jit(augment.blur(span))(key, PICTURE))
        sigma = float(jax.random.uniform(key, minval=span[0], maxval=span[1]))
        expected = ndimage.gaussian_filter(PICTURE, sigma, mode="nearest", radius=6, axes=(0, 1))
        np.testing.assert_allclose(ours, expected, atol=1e-5)
        seen.append(sigma)
    assert len(set(seen)) == 3


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 2.0])
def test_sharpness_equals_that_of_pillow(factor):
    image = pytest.importorskip("PIL.Image")
    enhance = pytest.importorskip("PIL.ImageEnhance")
    x = (PICTURE * 255).astype(np.uint8)
    theirs = np.asarray(enhance.Sharpness(image.fromarray(x)).enhance(factor)).astype(int)
    ours = np.asarray(jax.jit(augment.sharpness((factor, factor)))(KEY, x)).astype(int)
    assert np.abs(ours - theirs).max() <= (0 if factor == 1 else 1)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 5, 1), (3, 3, 2)])
def test_small_images_are_mostly_border(shape):
    x = np.random.default_rng(1).random(shape, np.float32)
    soft = np.asarray(jax.jit(augment.sharpness((0, 0)))(KEY, x))
    expected = x.copy()
    if min(shape[:2]) == 3:
        expected[1, 1] = (x.sum((0, 1)) + 4 * x[1, 1]) / 13
    np.testing.assert_allclose(soft, expected, rtol=1e-6)
    assert jax.jit(augment.blur(3))(KEY, x).shape == shape


def test_noise_has_its_deviation_for_every_pixel_its_own():
    gray = jnp.full([64, 64, 3], 0.5)
    noise = np.asarray(jax.jit(augment.noise(0.05))(KEY, gray)) - 0.5
    assert noise.std() == pytest.approx(0.05, rel=0.05)
    assert abs(noise.mean()) < 0.002
    assert len(np.unique(noise)) > 12000
    deviations = [
        float(np.std(jax.jit(augment.noise((0, 0.1)))(key, gray)))
        for key in jax.random.split(KEY, 4)
    ]
    assert len(set(deviations)) == 4
    assert max(deviations) <= 0.105


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bfloat16"])
def test_what_changes_nothing_gives_the_image_back(dtype):
    x = jnp.asarray(PICTURE * 255 if dtype == "uint8" else PICTURE).astype(dtype)
    for step in (augment.blur(0), augment.blur((0, 0)), augment.sharpness(0), augment.noise(0)):
        np.testing.assert_array_equal(jax.jit(step)(KEY, x), x, repr(step))
    taps = jax.jit(lambda sigma: gaussian(sigma, 4))(0.0)
    np.testing.assert_array_equal(taps, np.eye(9)[4])


def test_wrong_options_are_refused_when_it_is_made():
    with pytest.raises(ValueError, match="sigma must be at least 0, got -1"):
        augment.blur(-1)
    with pytest.raises(ValueError, match="std"):
        augment.noise("loud")
    with pytest.raises(ValueError, match="sharpness"):
        augment.sharpness((1, 0))
