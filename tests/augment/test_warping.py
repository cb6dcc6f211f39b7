import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import ndimage

from fcnn.augment import warping

FILLS = {0.25: {"mode": "grid-constant", "cval": 0.25}, "nearest": {"mode": "nearest"}}
FILLS["reflect"] = {"mode": "mirror"}
IDENTITY = jnp.eye(3)


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(size=(13, 18, 2)).astype(np.float32)


def some_matrix(seed, bend=0.0):
    rng = np.random.default_rng(seed)
    matrix = np.eye(3) + rng.normal(size=(3, 3)) * [[0.3, 0.3, 3], [0.3, 0.3, 3], [bend, bend, 0]]
    return matrix.astype(np.float32)


def sources(matrix, size, new_size):
    """Where the pixels of the output lie in the input: rows and columns, in float64."""
    y, x = np.mgrid[: new_size[0], : new_size[1]] - (np.array(new_size) - 1)[:, None, None] / 2
    x, y, scale = np.einsum("ij,jab->iab", matrix.astype(float), np.stack([x, y, x * 0 + 1]))
    return np.stack([y / scale + (size[0] - 1) / 2, x / scale + (size[1] - 1) / 2])


def by_scipy(image, matrix, new_size=None, **options):
    places = sources(matrix, image.shape[:2], new_size or image.shape[:2])
    return np.stack(
        [ndimage.map_coordinates(c, places, **options) for c in np.moveaxis(image, -1, 0)], -1
    )


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, jnp.bfloat16])
def test_the_identity_gives_back_every_bit(image, fill, interpolation, dtype):
    image = jnp.asarray(image * 255 if dtype == np.uint8 else image).astype(dtype)
    same = warping.warp(image, IDENTITY, fill=fill, interpolation=interpolation)
    assert same.dtype == dtype
    np.testing.assert_array_equal(same, image)


@pytest.mark.parametrize("fill", FILLS)
def test_affine_maps_equal_scipy(image, fill):
    matrix = some_matrix(0)
    linear = matrix[:2, :2][::-1, ::-1].astype(float)
    middle = (np.array(image.shape[:2]) - 1) / 2
    offset = middle - linear @ middle + matrix[:2, 2][::-1]
    for order, interpolation in enumerate(["nearest", "bilinear"]):
        ours = warping.warp(image, matrix, fill=fill, interpolation=interpolation)
        for channel in range(2):
            theirs = ndimage.affine_transform(
                image[..., channel], linear, offset, order=order, **FILLS[fill]
            )
            np.testing.assert_allclose(ours[..., channel], theirs, atol=1e-5)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("new_size", [(13, 18), (7, 31)])
def test_projective_maps_and_new_sizes_equal_scipy(image, fill, new_size):
    matrix = some_matrix(5, bend=0.01)
    ours = warping.warp(image, matrix, fill=fill, size=new_size)
    theirs = by_scipy(image, matrix, new_size, order=1, **FILLS[fill])
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_large_odd_pictures_in_a_batch_equal_scipy():
    rng = np.random.default_rng(1)
    images = rng.uniform(size=(5, 211, 307, 3)).astype(np.float32)
    matrices = np.stack([some_matrix(seed) for seed in range(5)])
    ours = jax.jit(jax.vmap(warping.warp))(images, matrices)
    for one, image, matrix in zip(ours, images, matrices, strict=True):
        theirs = by_scipy(image, matrix, order=1, mode="grid-constant")
        np.testing.assert_allclose(one, theirs, atol=2e-4)


def test_bytes_are_the_rounded_floats(image):
    pixels = np.round(image * 255).astype(np.uint8)
    matrix = some_matrix(2)
    ours = warping.warp(pixels, matrix, fill=1.0)
    theirs = by_scipy(pixels.astype(float), matrix, order=1, mode="grid-constant", cval=255)
    assert ours.dtype == np.uint8
    assert np.abs(ours - theirs).max() < 0.502
    assert ours.max() == 255


def test_values_stay_between_the_smallest_and_the_largest():
    rng = np.random.default_rng(0)
    image = rng.choice(np.float32([0, 1]), (32, 32, 1), p=[0.2, 0.8])
    for seed in range(20):
        new = warping.warp(image, some_matrix(seed), fill=1.0)
        assert new.min() >= 0
        assert new.max() <= 1


@pytest.mark.parametrize("dtype", [bool, np.int32, np.uint16])
def test_labels_of_any_dtype_move_by_the_nearest_pixel(dtype):
    labels = np.random.default_rng(0).integers(0, 2, (6, 9)).astype(dtype)
    matrix = some_matrix(3)
    ours = warping.warp(labels, matrix, interpolation="nearest")
    theirs = by_scipy(labels[..., None].astype(int), matrix, order=0, mode="grid-constant")
    theirs = theirs[..., 0]
    assert ours.dtype == dtype
    np.testing.assert_array_equal(ours, theirs.astype(dtype))
    with pytest.raises(TypeError, match="labels take interpolation='nearest'"):
        warping.warp(labels, matrix)


def test_pictures_of_one_pixel_have_surroundings_too():
    image = jnp.full((1, 1, 1), 0.5)
    for fill, around in ((0.0, 0.0), ("nearest", 0.5), ("reflect", 0.5)):
        new = warping.warp(image, IDENTITY, fill=fill, size=(3, 3))
        assert new[1, 1, 0] == 0.5
        assert new[0, 2, 0] == around


def test_gradients_through_the_map_are_finite(image):
    gradient = jax.grad(lambda matrix: (warping.warp(image, matrix) ** 2).sum())
    assert jnp.isfinite(gradient(some_matrix(1, bend=0.01))).all()


def test_products_and_inverses_are_those_of_matrices():
    a, b = some_matrix(0, bend=0.1), some_matrix(1, bend=0.1)
    np.testing.assert_allclose(warping.times(a, b), a @ b, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(warping.times(IDENTITY, b), b)
    back = np.asarray(warping.inverse(a))
    np.testing.assert_allclose(back / np.linalg.det(a), np.linalg.inv(a), rtol=1e-4, atol=1e-4)


def test_boxes_are_enclosed_clipped_and_empty_when_outside():
    boxes = jnp.array([[1, 2, 4, 3], [0, 0, 2, 2], [5, 5, 5, 7], [0, 0, 0, 0]], jnp.float32)

    def right_by_three(x, y):
        return x + 3, y

    new = warping.moved_boxes(boxes, right_by_three, (8, 6), (8, 6))
    np.testing.assert_array_equal(new, [[4, 2, 6, 3], [3, 0, 5, 2], [0, 0, 0, 0], [0, 0, 0, 0]])
    gone = warping.moved_boxes(boxes[:2], lambda x, y: (x + 6, y), (8, 6), (8, 6))
    np.testing.assert_array_equal(gone, np.zeros((2, 4)))
    turned = warping.moved_boxes(boxes[:1], lambda x, y: (-y, x), (6, 6), (6, 6))
    np.testing.assert_array_equal(turned, [[3, 1, 4, 4]])


def test_a_picture_does_not_depend_on_its_place_in_the_batch(image):
    images = random.uniform(random.key(0), (7, 16, 16, 3))
    matrices = jnp.stack([some_matrix(seed) for seed in range(7)])
    warp = jax.jit(jax.vmap(warping.warp))
    turned = warp(images[::-1], matrices[::-1])[::-1]
    np.testing.assert_array_equal(warp(images, matrices), turned)


def test_problems_of_options_are_all_named():
    problems = warping.sampling_problems(255, "cubic")
    assert problems == [
        "fill goes from 0 (black) to 1 (white) for every dtype, got 255",
        "interpolation must be 'bilinear' or 'nearest', got 'cubic'",
    ]
    assert "'nearest' or 'reflect'" in warping.sampling_problems("edge")[0]
    assert not warping.sampling_problems("reflect", "nearest")
