import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.augment import cropping

pillow = pytest.importorskip("PIL.Image")
KEY = random.key(0)
NUMPY = {0.0: {}, 1.0: {"constant_values": 255}, "nearest": {"mode": "edge"}}
NUMPY["reflect"] = {"mode": "reflect"}


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)


@pytest.mark.parametrize("fill", NUMPY)
def test_crops_are_all_the_parts_of_the_padded_image(image, fill):
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), **NUMPY[fill])
    parts = {
        padded[top : top + 12, left : left + 17].tobytes(): (top, left)
        for top in range(5)
        for left in range(5)
    }
    crop = jax.jit(jax.vmap(cropping.crop(padding=2, fill=fill).image, in_axes=(0, None)))
    seen = [parts[np.asarray(part).tobytes()] for part in crop(random.split(KEY, 500), image)]
    assert set(seen) == set(parts.values())
    assert max(map(seen.count, set(seen))) < 50  # of 20 expected


def test_a_crop_of_another_size_carries_mask_and_boxes(image):
    crop = cropping.crop((8, 9), padding=3)
    boxes = jnp.array([[4, 3, 9, 8]], jnp.float32)
    mask = np.zeros((12, 17), np.uint8)
    mask[3:8, 4:9] = 7
    for seed in range(6):
        key = random.key(seed)
        part = np.asarray(crop.mask(key, mask))
        np.testing.assert_array_equal(crop(key, mask[..., None])[..., 0], part)
        rows, columns = np.nonzero(part)
        bounds = [0, 0, 0, 0]
        if rows.size:
            bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_array_equal(crop.boxes(key, boxes, (12, 17)), [bounds])


def test_center_crop_equals_pillow(image):
    theirs = pillow.fromarray(image).crop((4, 2, 13, 10))
    np.testing.assert_array_equal(cropping.center_crop((8, 9))(KEY, image), np.asarray(theirs))


def test_a_crop_larger_than_the_image_says_so(image):
    with pytest.raises(ValueError, match=r"center_crop\(\(13, 13\)\) needs images of at least"):
        cropping.center_crop(13)(KEY, image)
    with pytest.raises(ValueError, match=r"at least \(16, 16\), got \(12, 17\)"):
        cropping.crop(20, padding=2)(KEY, image)


@pytest.mark.parametrize("size", [(12, 17), (5, 9), (32, 41), (7, 40)])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_resize_equals_pillow(image, size, interpolation):
    ours = cropping.resize(size, interpolation=interpolation)(KEY, image).astype(int)
    way = getattr(pillow.Resampling, interpolation.upper())
    theirs = np.asarray(pillow.fromarray(image).resize(size[::-1], way))
    limit = 1 if interpolation == "bilinear" else 0  # Pillow rounds twice
    assert abs(ours - theirs).max() <= limit


def test_windows_equal_pillow(image):
    image = image[..., 0].astype(np.float32) / 255
    for top, left, height, width in ((1.25, 2.5, 9.5, 7.0), (0, 0, 12, 17), (3.7, 5.1, 2.2, 11.9)):
        box = (left, top, left + width, top + height)
        ours = cropping.averaged(image[..., None], top, left, height, width, (6, 8))[..., 0]
        theirs = pillow.fromarray(image).resize((8, 6), pillow.Resampling.BILINEAR, box)
        np.testing.assert_allclose(ours, np.asarray(theirs), atol=1e-4)
        ours = cropping.picked(image, top, left, height, width, (6, 8))
        theirs = pillow.fromarray(image).resize((8, 6), pillow.Resampling.NEAREST, box)
        np.testing.assert_array_equal(ours, np.asarray(theirs))


def test_random_resized_crops_have_the_asked_areas_and_shapes():
    y, x = np.mgrid[:64, :96].astype(np.float32) + 0.5
    image = np.stack([y / 64, x / 96], -1)
    crop = cropping.random_resized_crop(16, (0.1, 0.3), (0.5, 2.0))
    new = jax.jit(jax.vmap(crop.image, in_axes=(0, None)))(random.split(KEY, 300), image)
    inner = new[:, 4:-4, 4:-4]  # linear, away from the borders
    height = 64 * 2 * (inner[:, -1, 0, 0] - inner[:, 0, 0, 0]) * 8 / 7
    width = 96 * 2 * (inner[:, 0, -1, 1] - inner[:, 0, 0, 1]) * 8 / 7
    area, ratio = height * width / (64 * 96), width / height
    assert 0.099 < area.min() < 0.12
    assert 0.28 < area.max() < 0.301
    assert 0.49 < ratio.min() < 0.55
    assert 1.8 < ratio.max() < 2.02
    middle = (inner[:, 0, 0] + inner[:, -1, -1]) / 2
    assert abs(middle.mean(0) - 0.5).max() < 0.03


def test_a_part_as_large_as_the_image_is_the_image(image):
    whole = cropping.random_resized_crop((12, 17), (1, 1), (17 / 12, 17 / 12))
    np.testing.assert_array_equal(whole(KEY, image), image)
    square = cropping.random_resized_crop(12, (1, 1), (1, 1))
    np.testing.assert_array_equal(square(KEY, image[:, :12]), image[:, :12])


def test_boxes_are_resized_with_the_image():
    boxes = jnp.array([[2, 1, 8, 4], [0, 0, 17, 12]], jnp.float32)
    new = cropping.resize((24, 34)).boxes(KEY, boxes, (12, 17))
    np.testing.assert_array_equal(new, np.asarray(boxes) * 2)
    crop = cropping.random_resized_crop(20, (0.3, 0.6))
    mask = np.zeros((40, 60), np.int32)
    mask[10:30, 20:45] = 1
    for seed in range(5):
        rows, columns = np.nonzero(np.asarray(crop.mask(random.key(seed), mask)))
        bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        box = crop.boxes(random.key(seed), jnp.array([[20.0, 10, 45, 30]]), (40, 60))
        np.testing.assert_allclose(box, [bounds], atol=0.51)


def test_bad_options_are_refused_together():
    with pytest.raises(ValueError, match=r"size .* got 0; padding .* got -1"):
        cropping.crop(0, -1)
    with pytest.raises(ValueError, match=r"size .* got \(3, 2, 1\); scale .* got 2"):
        cropping.random_resized_crop((3, 2, 1), 2)
    with pytest.raises(ValueError, match="fill must be"):
        cropping.crop(fill="edge")


def test_floats_of_any_range_are_resized_and_not_cut_off():
    image = jnp.linspace(-300, 300, 8 * 8 * 2).reshape(8, 8, 2)
    smaller = cropping.resize(4)(random.key(0), image)
    assert smaller.min() < -200
    assert smaller.max() > 200
