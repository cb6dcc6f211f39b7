import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn import augment
from fcnn.augment.carrying import with_boxes, with_masks
from fcnn.augment.cropping import crop
from fcnn.augment.deforming import elastic
from fcnn.augment.flipping import flip
from fcnn.augment.geometry import affine, perspective, rotate
from fcnn.augment.protocol import Augmentation

KEY = random.key(0)
EXACT = augment.compose(flip(), flip(0.5, "vertical"), crop((20, 24), padding=4))
CURVED = augment.compose(affine(rotate=30, zoom=0.2, flip=0.5), perspective(0.4), elastic())


def darker(key, image):
    return image // 2


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (26, 30, 3), np.uint8)


def test_flips_and_crops_move_masks_exactly_as_images(image):
    move = jax.jit(jax.vmap(with_masks(EXACT), in_axes=(0, None, None)))
    images, masks = move(random.split(KEY, 20), image, image[..., 1])
    assert masks.shape == (20, 20, 24)
    np.testing.assert_array_equal(images[..., 1], masks)


def test_flips_and_crops_move_boxes_exactly(image):
    mask = np.zeros((26, 30, 1), np.uint8)
    mask[3:12, 5:19] = 1
    move = jax.jit(jax.vmap(with_boxes(EXACT), in_axes=(0, None, None)))
    masks, boxes = move(random.split(KEY, 20), mask, jnp.array([[5, 3, 19, 12], [0, 0, 0, 0]]))
    assert boxes.dtype == jnp.float32
    assert not boxes[:, 1].any()
    for part, box in zip(masks[..., 0], boxes[:, 0], strict=True):
        rows, columns = np.nonzero(np.asarray(part))
        bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_array_equal(box, bounds)


def test_labels_are_moved_and_never_mixed(image):
    labels = np.random.default_rng(1).choice([3, 1000, -7], (26, 30, 2)).astype(np.int32)
    new, moved = with_masks(CURVED)(KEY, image, labels)
    assert moved.dtype == jnp.int32
    assert moved.shape == (26, 30, 2)
    assert set(np.unique(moved)) <= {0, 3, 1000, -7}
    np.testing.assert_array_equal(new, CURVED(KEY, image))


def test_masks_stay_on_their_objects():
    y, x = np.mgrid[:64, :64]
    disc = ((y - 30) ** 2 + (x - 36) ** 2 < 150).astype(np.float32)
    for seed in range(5):
        image, mask = with_masks(CURVED)(random.key(seed), disc[..., None], disc.astype(np.uint8))
        image, mask = np.asarray(image)[..., 0], np.asarray(mask)
        assert mask.sum() > 50
        assert ((image > 0.5) != mask).mean() < 0.02


def test_a_mirrored_picture_has_mirrored_labels(image):
    turn = rotate((40, 40), fill="reflect")
    _, mask = with_masks(turn)(KEY, image, np.ones((26, 30), np.uint8))
    assert mask.all()
    _, mask = with_masks(rotate((40, 40), fill=1.0))(KEY, image, np.ones((26, 30), np.uint8))
    assert mask[0, 0] == 0


def test_steps_that_move_no_pixel_leave_masks_and_boxes(image):
    step = augment.pointwise(darker)
    new, mask = with_masks(step)(KEY, image, image[..., 0])
    np.testing.assert_array_equal(new, image // 2)
    np.testing.assert_array_equal(mask, image[..., 0])
    np.testing.assert_array_equal(with_boxes(step)(KEY, image, jnp.ones((1, 4)))[1], [[1, 1, 1, 1]])


@pytest.mark.parametrize(
    "pipeline",
    [
        darker,
        augment.compose(flip(), darker),
        augment.maybe(darker),
        augment.compose(flip(), augment.compose(augment.maybe(darker))),
    ],
)
def test_plain_functions_are_refused_with_what_to_write(pipeline):
    for carry in (with_masks, with_boxes):
        with pytest.raises(TypeError, match=r"write augment\.pointwise\(darker\)"):
            carry(pipeline)


def test_what_does_not_fit_is_refused(image):
    mixing = Augmentation("mixup()", darker, batch=lambda key, x, y: (x, y))
    with pytest.raises(ValueError, match="mixes whole batches"):
        with_masks(augment.compose(flip(), mixing))
    with pytest.raises(ValueError, match=r"\(3, 3\) is not as large as the image \(26, 30, 3\)"):
        with_masks(flip())(KEY, image, image[:3, :3, 0])
    with pytest.raises(ValueError, match=r"boxes must be \[n, 4\], got \[4\]"):
        with_boxes(flip())(KEY, image, jnp.zeros(4))
