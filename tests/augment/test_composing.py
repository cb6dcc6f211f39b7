import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn import augment
from fcnn.augment.cropping import center_crop, crop
from fcnn.augment.flipping import flip
from fcnn.augment.geometry import rotate
from fcnn.augment.protocol import Augmentation

KEY = random.key(0)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (10, 12, 3), np.uint8)


def darker(key, image):
    return image // 2


def add_noise(key, image):
    return image + random.normal(key, image.shape)


swap = Augmentation("swap()", lambda key, x: x, batch=lambda key, x, y: (x[::-1], y[::-1]))


def test_steps_follow_each_other_with_keys_of_their_own(image):
    pipeline = augment.compose(rotate(30), darker, crop(8))
    by_hand = rotate(30)(random.fold_in(KEY, 0), image)
    by_hand = crop(8)(random.fold_in(KEY, 2), by_hand // 2)
    np.testing.assert_array_equal(pipeline(KEY, image), by_hand)
    assert repr(pipeline) == "compose(rotate(30), darker, crop((8, 8), padding=4))"


def test_a_step_appended_changes_no_draw_of_those_before(image):
    zeros = jnp.zeros((4, 4, 1))
    alone = augment.compose(add_noise)(KEY, zeros)
    np.testing.assert_array_equal(augment.compose(add_noise, flip(0.0))(KEY, zeros), alone)
    assert (augment.compose(add_noise, add_noise)(KEY, zeros) != 2 * alone).any()


def test_no_steps_change_nothing(image):
    np.testing.assert_array_equal(augment.compose()(KEY, image), image)


def test_masks_and_boxes_go_through_all_steps_and_sizes():
    pipeline = augment.compose(center_crop((8, 6)), augment.pointwise(darker), flip(1.0))
    mask = np.arange(120).reshape(10, 12)
    np.testing.assert_array_equal(pipeline.mask(KEY, mask), mask[1:9, 3:9][:, ::-1])
    boxes = pipeline.boxes(KEY, jnp.array([[3.0, 1, 4, 5]]), (10, 12))
    np.testing.assert_array_equal(boxes, [[5, 0, 6, 4]])


def test_steps_that_move_nothing_leave_no_mask_to_compute():
    both = augment.compose(augment.pointwise(darker), augment.maybe(augment.pointwise(darker)))
    assert both.mask is None
    assert both.boxes is None
    assert both.batch is None


def test_steps_on_batches_come_last_and_in_order(image):
    pipeline = augment.compose(flip(1.0), swap, swap)
    np.testing.assert_array_equal(pipeline(KEY, image), image[:, ::-1])
    x, y = pipeline.batch(KEY, jnp.arange(3), jnp.arange(3))
    np.testing.assert_array_equal(x, [0, 1, 2])
    np.testing.assert_array_equal(augment.compose(swap).batch(KEY, x, y)[1], [2, 1, 0])
    with pytest.raises(ValueError, match=r"swap\(\) works on whole batches: put it after"):
        augment.compose(swap, flip())


def test_maybe_chooses_images_one_by_one(image):
    keys = random.split(KEY, 1000)
    new = jax.jit(jax.vmap(augment.maybe(darker, 0.25).image, in_axes=(0, None)))(keys, image)
    same = (new == image).all((1, 2, 3))
    assert ((new == image // 2).all((1, 2, 3)) | same).all()
    assert 0.70 < same.mean() < 0.80
    np.testing.assert_array_equal(augment.maybe(darker, 1)(KEY, image), image // 2)
    np.testing.assert_array_equal(augment.maybe(darker, 0)(KEY, image), image)


def test_maybe_moves_image_mask_and_boxes_together(image):
    step = augment.maybe(flip(1.0), 0.5)
    boxes, seen = jnp.array([[1.0, 2, 5, 6]]), set()
    for seed in range(8):
        key = random.key(seed)
        moved = bool((step(key, image) == image[:, ::-1]).all())
        np.testing.assert_array_equal(step.mask(key, image[..., 0]), step(key, image)[..., 0])
        left = float(step.boxes(key, boxes, (10, 12))[0, 0])
        assert left == (7 if moved else 1)
        seen.add(moved)
    assert seen == {True, False}


def test_maybe_refuses_what_it_cannot_choose(image):
    with pytest.raises(ValueError, match=r"keeps the size, and crop.* makes \(5, 5, 3\)"):
        augment.maybe(crop(5))(KEY, image)
    with pytest.raises(ValueError, match="works on whole batches"):
        augment.maybe(swap)
    with pytest.raises(ValueError, match="probability"):
        augment.maybe(darker, 1.5)


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match=r"a step is a function .* got 'flip'"):
        augment.compose("flip")
    with pytest.raises(TypeError, match="is an augmentation already"):
        augment.pointwise(flip())
    with pytest.raises(TypeError, match="got 3"):
        augment.pointwise(3)
