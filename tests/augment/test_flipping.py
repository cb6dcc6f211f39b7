import jax
import numpy as np
import pytest
from jax import random

from fcnn import augment
from fcnn.augment.flipping import flip

pillow = pytest.importorskip("PIL.Image")
KEY = random.key(0)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("axis", "way"), [("horizontal", "FLIP_LEFT_RIGHT"), ("vertical", "FLIP_TOP_BOTTOM")]
)
def test_a_flip_equals_pillow(image, axis, way):
    theirs = pillow.fromarray(image).transpose(getattr(pillow.Transpose, way))
    np.testing.assert_array_equal(flip(1.0, axis)(KEY, image), np.asarray(theirs))
    np.testing.assert_array_equal(flip(0.0, axis)(KEY, image), image)


def test_the_share_of_flipped_images_is_the_probability(image):
    keys = random.split(KEY, 2000)
    flipped = jax.jit(jax.vmap(lambda key: flip(0.3)(key, image)[0, 0, 0] != image[0, 0, 0]))(keys)
    assert 0.26 < flipped.mean() < 0.34


@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_boxes_and_masks_flip_with_the_image(axis):
    mask = np.zeros((5, 8), np.int32)
    mask[1:3, 2:7] = 1
    boxes = np.array([[2, 1, 7, 3]], np.float32)
    both = flip(0.5, axis)
    for seed in range(6):
        key = random.key(seed)
        new = np.asarray(both.mask(key, mask))
        np.testing.assert_array_equal(new, both(key, mask[..., None])[..., 0])
        (left, top, right, bottom) = np.asarray(both.boxes(key, boxes, (5, 8)))[0].astype(int)
        assert new[top:bottom, left:right].all()
        assert new.sum() == (bottom - top) * (right - left)


def test_bad_options_are_refused_together():
    with pytest.raises(ValueError, match=r"probability .* got 2; axis .* got 'diagonal'"):
        flip(2, "diagonal")
    assert isinstance(flip(), augment.Augmentation)
