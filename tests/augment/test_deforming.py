import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import ndimage

from fcnn.augment import deforming

KEY = random.key(0)


@pytest.mark.parametrize(("fill", "mode"), [(0.0, "grid-constant"), ("reflect", "mirror")])
def test_elastic_equals_scipy_with_the_same_shifts(fill, mode):
    image = np.random.default_rng(0).uniform(size=(17, 26, 2)).astype(np.float32)
    ours = deforming.elastic(2.0, 3.0, fill=fill)(KEY, image)
    right, down = 2 * np.asarray(deforming.smooth_noise(KEY, (17, 26), 3.0))
    rows, columns = np.mgrid[:17, :26]
    for channel in range(2):
        places = np.stack([rows + down, columns + right])
        theirs = ndimage.map_coordinates(image[..., channel], places, order=1, mode=mode)
        np.testing.assert_allclose(ours[..., channel], theirs, atol=1e-4)


@pytest.mark.parametrize("smoothness", [0.5, 1.0, 4.0, 30.0])
def test_shifts_are_standard_normal_at_every_pixel(smoothness):
    keys = random.split(KEY, 1000)
    fields = jax.jit(jax.vmap(lambda k: deforming.smooth_noise(k, (9, 14), smoothness)))(keys)
    assert fields.shape == (1000, 2, 9, 14)
    assert abs(fields.mean(0)).max() < 0.17
    np.testing.assert_allclose(fields.std(0), 1, atol=0.13)
    assert abs((fields[:, 0] * fields[:, 1]).mean(0)).max() < 0.17


def test_neighbours_move_alike_as_far_as_the_smoothness_reaches():
    keys = random.split(KEY, 2000)
    fields = jax.jit(jax.vmap(lambda k: deforming.smooth_noise(k, (3, 40), 4.0)))(keys)[:, 0, 1]
    for distance in (1, 4, 8):
        alike = (fields[:, 10] * fields[:, 10 + distance]).mean()
        np.testing.assert_allclose(alike, np.exp(-(distance**2) / (4 * 4.0**2)), atol=0.1)


def test_boxes_are_the_bounds_of_the_mask_they_held():
    move = deforming.elastic(1.5, 5.0)
    mask = np.zeros((20, 28), np.int32)
    mask[6:12, 9:18] = 1
    boxes = jnp.array([[9, 6, 18, 12], [0, 0, 0, 0]], jnp.float32)
    for seed in range(5):
        rows, columns = np.nonzero(np.asarray(move.mask(random.key(seed), mask)))
        bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_array_equal(
            move.boxes(random.key(seed), boxes, (20, 28)), [bounds, [0, 0, 0, 0]]
        )


def test_bad_options_are_refused_together():
    with pytest.raises(ValueError, match=r"strength .* got -1; smoothness .* got 0"):
        deforming.elastic(-1, 0)
