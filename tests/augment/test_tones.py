import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import augment

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)

PICTURES = {
    "evenly": RANDOM.integers(0, 256, [40, 30, 3], dtype=np.uint8),
    "bell": np.clip(RANDOM.normal(100, 20, [40, 30, 3]), 0, 255).astype(np.uint8),
    "dark": (RANDOM.random([64, 64, 3]) ** 4 * 120).astype(np.uint8),
    "gray": RANDOM.integers(30, 60, [33, 17, 1], dtype=np.uint8),
    "two": np.where(RANDOM.random([32, 32, 3]) < 0.1, 200, 7).astype(np.uint8),
    "one": np.full([8, 8, 3], 9, np.uint8),
    "tiny": RANDOM.integers(0, 256, [3, 2, 3], dtype=np.uint8),
}


def as_pillow(x):
    image = pytest.importorskip("PIL.Image")
    return image.fromarray(x if x.shape[-1] == 3 else x[..., 0])


def as_numpy(image):
    x = np.asarray(image)
    return x if x.ndim == 3 else x[..., None]


@pytest.mark.parametrize("x", PICTURES.values(), ids=PICTURES)
def test_all_equal_pillow(x):
    ops = pytest.importorskip("PIL.ImageOps")
    image = as_pillow(x)
    pairs = [
        (augment.invert(1.0), ops.invert(image)),
        (augment.posterize(1), ops.posterize(image, 1)),
        (augment.posterize(5), ops.posterize(image, 5)),
        (augment.solarize(0.5), ops.solarize(image, 128)),
        (augment.equalize(), ops.equalize(image)),
    ]
    for ours, theirs in pairs:
        np.testing.assert_array_equal(jax.jit(ours)(KEY, x), as_numpy(theirs), repr(ours))


@pytest.mark.parametrize("x", PICTURES.values(), ids=PICTURES)
def test_autocontrast_equals_pillow_but_for_its_rounding_errors(x):
    ops = pytest.importorskip("PIL.ImageOps")
    theirs = as_numpy(ops.autocontrast(as_pillow(x))).astype(int)
    ours = np.asarray(jax.jit(augment.autocontrast())(KEY, x)).astype(int)
    more = ours - theirs  # Pillow adds two rounded numbers, and cuts 254.99999 to 254
    assert set(np.unique(more)) <= {0, 1}
    assert (more == 0).mean() > 0.9
    for c in range(x.shape[-1]):
        if x[..., c].min() < x[..., c].max():
            assert (ours[..., c].min(), ours[..., c].max()) == (0, 255)


@pytest.mark.parametrize("name", ["evenly", "dark", "gray", "one"])
def test_floats_of_256_levels_give_the_same_levels(name):
    x = PICTURES[name]
    floats = x.astype(np.float32) / 255
    for step in (augment.invert(1.0), augment.posterize(3), augment.solarize(0.5),
                 augment.equalize()):  # fmt: skip
        levels = np.asarray(jax.jit(step)(KEY, x))
        np.testing.assert_allclose(
            np.asarray(jax.jit(step)(KEY, floats)) * 255, levels, atol=1e-4, err_msg=repr(step)
        )
    stretched = np.asarray(jax.jit(augment.autocontrast())(KEY, floats)) * 255
    assert np.abs(stretched - jax.jit(augment.autocontrast())(KEY, x)).max() < 1


def test_what_changes_nothing_gives_the_image_back():
    x = PICTURES["bell"]
    for image in (jnp.asarray(x), jnp.asarray(x / 255, jnp.float16)):
        for step in (augment.invert(0.0), augment.posterize(8), augment.solarize(1.0)):
            np.testing.assert_array_equal(jax.jit(step)(KEY, image), image, repr(step))
    full = np.stack([np.arange(256, dtype=np.uint8)] * 3, -1)[None]
    np.testing.assert_array_equal(jax.jit(augment.autocontrast())(KEY, full), full)
    np.testing.assert_array_equal(jax.jit(augment.equalize())(KEY, full), full)
    for name in ("one", "tiny"):
        np.testing.assert_array_equal(
            jax.jit(augment.equalize())(KEY, PICTURES[name]), PICTURES[name]
        )


def test_inversion_happens_as_often_as_asked():
    x = np.zeros([1, 1, 1], np.uint8)
    inverted = jax.vmap(augment.invert(0.25), (0, None))(jax.random.split(KEY, 400), x)
    assert (inverted == 255).mean() == pytest.approx(0.25, abs=0.06)


def test_wrong_options_are_refused_when_it_is_made():
    for bits in (0, 9, 4.0, True):
        with pytest.raises(
            ValueError, match=f"bits must be a whole number from 1 to 8, got {bits}"
        ):
            augment.posterize(bits)
    with pytest.raises(ValueError, match="threshold must be a number from 0 to 1, got 128"):
        augment.solarize(128)
    with pytest.raises(ValueError, match="probability"):
        augment.invert(-0.1)
