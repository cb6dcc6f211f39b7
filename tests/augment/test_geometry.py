import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import ndimage

from fcnn.augment import geometry
from fcnn.augment.cropping import center_crop, crop, random_resized_crop, resize
from fcnn.augment.deforming import elastic
from fcnn.augment.flipping import flip

pillow = pytest.importorskip("PIL.Image")
KEY = random.key(0)
SIZE = (20, 28)

ALL = {
    "flip": flip(),
    "rotate": geometry.rotate(30),
    "translate": geometry.translate(0.2),
    "zoom": geometry.zoom(0.3),
    "shear": geometry.shear(20, "vertical"),
    "affine": geometry.affine(rotate=20, translate=0.1, zoom=0.2, shear=10, flip=0.5),
    "perspective": geometry.perspective(0.5),
    "elastic": elastic(2.0, 3.0),
    "crop": crop(16),
    "center_crop": center_crop((16, 20)),
    "random_resized_crop": random_resized_crop((12, 18)),
    "resize": resize((9, 31)),
    "nearest": geometry.rotate(30, fill="nearest", interpolation="nearest"),
    "reflect": geometry.rotate(30, fill="reflect"),
}
IDENTITIES = {
    "flip": flip(0.0),
    "rotate": geometry.rotate(0),
    "translate": geometry.translate(0),
    "zoom": geometry.zoom(0),
    "shear": geometry.shear(0),
    "affine": geometry.affine(),
    "perspective": geometry.perspective(0),
    "elastic": elastic(0.0),
    "crop": crop(padding=0),
    "center_crop": center_crop(SIZE),
    "random_resized_crop": random_resized_crop(SIZE, (1, 1), (28 / 20, 28 / 20)),
    "resize": resize(SIZE),
}


def picture(dtype=np.float32, channels=3, frame=0):
    """Smooth random colours, in a black frame of some pixels."""
    noise = np.random.default_rng(0).uniform(size=(*SIZE, channels))
    image = ndimage.gaussian_filter(noise, (1, 1, 0), mode="wrap")
    image = (image - image.min()) / (image.max() - image.min())
    inside = np.zeros(SIZE, bool)
    inside[frame : SIZE[0] - frame, frame : SIZE[1] - frame] = True
    image = image * inside[..., None]
    return np.round(image * 255).astype(np.uint8) if dtype == np.uint8 else image.astype(dtype)


def by_pillow(image, method, data, resample="BILINEAR"):
    def one(channel):
        options = {"resample": getattr(pillow.Resampling, resample)}
        way = getattr(pillow.Transform, method)
        return pillow.fromarray(channel).transform(SIZE[::-1], way, data, **options)

    return np.stack([np.asarray(one(channel)) for channel in np.moveaxis(image, -1, 0)], -1)


def about_the_middle(matrix):
    """Pillow's coefficients, which count from the corner."""
    middle = np.array([[1, 0, SIZE[1] / 2], [0, 1, SIZE[0] / 2], [0, 0, 1]])
    matrix = middle @ matrix @ np.linalg.inv(middle)
    return (matrix / matrix[2, 2]).ravel()[:8]


@pytest.mark.parametrize("name", ALL)
def test_a_key_gives_one_picture_anywhere_in_a_batch(name):
    draw = jax.jit(jax.vmap(ALL[name].image))
    image = picture(np.uint8, channels=5)
    images = jnp.stack([jnp.roll(image, i, 0) for i in range(5)])
    keys = random.split(KEY, 5)
    new = draw(keys, images)
    assert new.dtype == np.uint8
    assert new.shape[-1] == 5
    np.testing.assert_array_equal(draw(keys[::-1], images[::-1])[::-1], new)


@pytest.mark.parametrize("name", ["flip", "affine", "elastic", "crop", "random_resized_crop"])
def test_one_image_is_as_in_a_batch_and_other_keys_give_others(name):
    image, keys = picture(), random.split(KEY, 8)
    new = np.asarray(jax.jit(jax.vmap(ALL[name].image, in_axes=(0, None)))(keys, image))
    np.testing.assert_allclose(jax.jit(ALL[name].image)(keys[3], image), new[3], atol=1e-4)
    assert new.dtype == np.float32
    assert new.min() >= 0
    assert new.max() <= 1
    different = len({one.tobytes() for one in new})
    assert different == (2 if name == "flip" else 8)


@pytest.mark.parametrize("name", ["flip", "affine", "elastic", "random_resized_crop"])
def test_half_precision_stays(name):
    new = jax.eval_shape(ALL[name].image, KEY, jnp.asarray(picture()).astype(jnp.bfloat16))
    assert new.dtype == jnp.bfloat16


@pytest.mark.parametrize("name", IDENTITIES)
def test_identity_parameters_give_back_the_image_bit_for_bit(name):
    step, boxes = IDENTITIES[name], np.array([[1, 2, 20, 17], [0, 0, 28, 20]], np.float32)

    def both(pixels, floats):
        mask, moved = step.mask(KEY, pixels[..., 0]), step.boxes(KEY, boxes, SIZE)
        return step(KEY, pixels), step(KEY, floats), mask, moved

    pixels, floats = picture(np.uint8), picture()
    new, new_floats, mask, moved = jax.jit(both)(pixels, floats)
    np.testing.assert_array_equal(new, pixels)
    np.testing.assert_array_equal(new_floats, floats)
    np.testing.assert_array_equal(mask, pixels[..., 0])
    np.testing.assert_allclose(moved, boxes, atol=1e-5)


@pytest.mark.parametrize("degrees", [-37, 12.5, 90, 180])
def test_rotate_equals_pillow(degrees):
    image = picture(frame=2)
    ours = geometry.rotate((degrees, degrees))(KEY, image)
    for channel in range(3):
        theirs = pillow.fromarray(image[..., channel]).rotate(degrees, pillow.Resampling.BILINEAR)
        np.testing.assert_allclose(ours[..., channel], np.asarray(theirs), atol=1e-5)


def test_rotate_of_bytes_by_the_nearest_pixel_equals_pillow():
    image = picture(np.uint8, frame=2)
    ours = geometry.rotate((25, 25), interpolation="nearest")(KEY, image)
    theirs = pillow.fromarray(image).rotate(25, pillow.Resampling.NEAREST)
    np.testing.assert_array_equal(ours, np.asarray(theirs))


def test_translate_by_whole_pixels_is_exact_and_by_parts_equals_scipy():
    image = picture()
    whole = geometry.translate((0.25, 0.25))(KEY, image)  # 5 rows, 7 columns
    np.testing.assert_array_equal(whole[5:, 7:], image[:-5, :-7])
    assert not whole[:5].any()
    assert not whole[:, :7].any()
    for axis, shift in (("horizontal", (0, 2.8, 0)), ("vertical", (2.0, 0, 0))):
        ours = geometry.translate((0.1, 0.1), axis, fill=0.5)(KEY, image)
        theirs = ndimage.shift(image, shift, order=1, mode="grid-constant", cval=0.5)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("factor", [0.6, 1.7])
def test_zoom_equals_pillow(factor):
    image = picture(frame=2)
    ours = geometry.zoom((factor, factor))(KEY, image)
    theirs = by_pillow(image, "AFFINE", about_the_middle(np.diag([1 / factor, 1 / factor, 1]))[:6])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert (np.asarray(ours).sum() > image.sum()) == (factor > 1)


@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_shear_equals_pillow(axis):
    image = picture(frame=2)
    ours = geometry.shear((20, 20), axis)(KEY, image)
    matrix = np.array([[1, -np.tan(np.radians(20)), 0], [0, 1, 0], [0, 0, 1]])
    matrix = matrix if axis == "horizontal" else matrix.T
    theirs = by_pillow(image, "AFFINE", about_the_middle(matrix)[:6])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_affine_is_all_of_them_in_one_resampling():
    image = picture(frame=2)
    options = {"rotate": (15, 15), "translate": (0.1, 0.1), "zoom": (0.8, 0.8), "shear": (10, 10)}
    ours = geometry.affine(**options, flip=1.0)(KEY, image)
    turn, slope = np.radians(15), np.tan(np.radians(10))
    moves = [  # of the content, the first at the right
        [[1, 0, 2.8], [0, 1, 2.0], [0, 0, 1]],
        [[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]],
        [[1, slope, 0], [0, 1, 0], [0, 0, 1]],
        np.diag([0.8, 0.8, 1]),
        np.diag([-1, 1, 1]),
    ]
    back = np.linalg.inv(np.linalg.multi_dot([np.array(move, float) for move in moves]))
    theirs = by_pillow(image, "AFFINE", about_the_middle(back)[:6])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_affine_flips_exactly():
    image = picture(np.uint8)
    np.testing.assert_array_equal(geometry.affine(flip=1.0)(KEY, image), image[:, ::-1])


def test_affine_of_one_option_is_that_augmentation():
    image = picture()
    for name in ("rotate", "zoom", "shear", "translate"):
        span = (1.2, 1.2) if name == "zoom" else (0.2, 0.2)
        alone = getattr(geometry, name)(span)(KEY, image)
        np.testing.assert_array_equal(geometry.affine(**{name: span})(KEY, image), alone)


def test_perspective_takes_the_corners_where_they_should_go():
    rng = np.random.default_rng(0)
    corners = geometry.CORNERS * (1 - rng.uniform(0, 0.6, (4, 2)).astype(np.float32))
    half = np.array([SIZE[1], SIZE[0]]) / 2
    rows, sides = [], []
    for (x, y), (u, v) in zip(geometry.CORNERS * half, corners * half, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        sides += [u, v]
    solved = np.append(np.linalg.solve(np.array(rows), np.array(sides)), 1).reshape(3, 3)
    ours = np.asarray(geometry.projection(corners, SIZE))
    np.testing.assert_allclose(ours / ours[2, 2], solved, rtol=1e-4, atol=1e-5)

    image = picture(frame=2)
    new = geometry.warp(image, geometry.inverse(ours))
    theirs = by_pillow(image, "PERSPECTIVE", about_the_middle(np.linalg.inv(solved)))
    np.testing.assert_allclose(new, theirs, atol=2e-4)


def test_perspective_of_equal_corners_is_a_zoom():
    image = picture()
    ours = geometry.perspective((0.25, 0.25))(KEY, image)
    np.testing.assert_allclose(ours, geometry.zoom((0.75, 0.75))(KEY, image), atol=1e-4)


@pytest.mark.parametrize("name", ["rotate", "translate", "zoom", "shear", "affine", "perspective"])
def test_boxes_enclose_what_they_held_wherever_it_goes(name):
    mask = np.zeros(SIZE, np.int32)
    mask[6:12, 9:18] = 1
    held = jnp.array([[9.0, 6, 18, 12]])
    keys = random.split(KEY, 6)

    def move(key):
        return ALL[name].mask(key, mask), ALL[name].boxes(key, held, SIZE)

    masks, boxes = jax.jit(jax.vmap(move))(keys)
    for moved, (left, top, right, bottom) in zip(masks, np.asarray(boxes[:, 0]), strict=True):
        rows, columns = np.nonzero(np.asarray(moved))
        slack = 0.51  # a pixel counts where its centre is inside
        assert left <= columns.min() + slack
        assert right >= columns.max() + 1 - slack
        assert top <= rows.min() + slack
        assert bottom >= rows.max() + 1 - slack
        assert (right - left) * (bottom - top) < 5 * rows.size


def test_draws_fill_the_range_and_no_more():
    keys = random.split(KEY, 500)
    draws = jax.vmap(lambda key: geometry.drawn(key, (-2.0, 3.0), (0.7, 0.7)))(keys)
    assert -2 <= draws[:, 0].min() < -1.9
    assert 2.9 < draws[:, 0].max() <= 3
    assert (draws[:, 1] == np.float32(0.7)).all()
    assert (
        abs(np.corrcoef(jax.vmap(lambda key: geometry.drawn(key, (0, 1), (0, 1)))(keys).T)[0, 1])
        < 0.1
    )


def test_problems_are_collected_when_the_augmentation_is_made():
    with pytest.raises(ValueError, match=r"fill .* got -1; zoom .*; shear .* got 90; flip"):
        geometry.affine(zoom=(0, 1), shear=90, flip=1.5, fill=-1)
    with pytest.raises(ValueError, match=r"degrees must be \(low, high\), got \(5, -5\)"):
        geometry.rotate((5, -5))
    with pytest.raises(ValueError, match="axis must be 'both' or 'horizontal' or 'vertical'"):
        geometry.translate(0.1, "x")
    with pytest.raises(ValueError, match=r"strength must be from 0 to 0\.6"):
        geometry.perspective(0.7)
    with pytest.raises(ValueError, match="interpolation must be"):
        geometry.zoom(interpolation="cubic")


def test_names_say_how_they_were_made():
    assert repr(geometry.rotate(10)) == "rotate(10)"
    assert repr(geometry.affine(rotate=10, flip=0.5)) == "affine(rotate=10, flip=0.5)"
