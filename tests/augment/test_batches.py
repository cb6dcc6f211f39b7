import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn import augment

KEY = random.key(3)
X = np.random.default_rng(0).integers(0, 256, [12, 9, 8, 3], dtype=np.uint8)
Y = np.arange(12) % 4
PIPELINE = augment.compose(
    augment.flip(),
    augment.color_jitter(brightness=0.4, hue=0.1),
    augment.equalize(),
    augment.sharpness(),
    augment.blur(),
    augment.noise(),
    augment.erase(),
    augment.rand_augment(1),
)


@functools.partial(jax.jit, static_argnums=0)
def run(step, key, batch):
    return augment.on_batch(step, key, batch)


def test_an_example_looks_the_same_in_any_place_of_the_batch():
    order = np.array([7, 0, 11, 3, 2, 1, 4, 5, 6, 8, 9, 10])
    index = np.arange(12)
    x = run(PIPELINE, KEY, {"x": X, "y": Y, "index": index})["x"]
    shuffled = run(PIPELINE, KEY, {"x": X[order], "y": Y[order], "index": index[order]})["x"]
    np.testing.assert_array_equal(shuffled, x[order])
    assert x.dtype == np.uint8
    assert (x != X).any((1, 2, 3)).all()
    other = run(PIPELINE, random.key(4), {"x": X, "y": Y, "index": index})["x"]
    assert (x != other).any((1, 2, 3)).all()


def own_key(kind, epoch, index):
    return random.fold_in(random.fold_in(random.fold_in(KEY, kind), epoch), index)


def test_the_key_of_an_example_is_that_of_its_epoch_and_index():
    def values(key, x):
        return random.uniform(key) + jnp.zeros_like(x)

    x, index, epoch = np.zeros([3, 2], np.float32), np.array([5, 2, 9]), np.array([0, 0, 4])
    batch = {"x": x, "y": x, "index": index, "epoch": epoch}
    new = augment.on_batch(values, KEY, batch)["x"]
    for row, number, when in zip(new, index, epoch, strict=True):
        np.testing.assert_array_equal(row, random.uniform(own_key(1, when, number)))
    del batch["epoch"]
    first = augment.on_batch(values, KEY, batch)["x"]  # without an epoch, the first
    np.testing.assert_array_equal(first[:2], new[:2])
    places = augment.on_batch(values, KEY, {"x": x, "y": x})["x"]
    assert places[2, 0] == new[1, 0]  # without an index, the place


def test_what_mixes_comes_after_the_images_with_a_key_of_its_own():
    mix = augment.mixup(1.0, classes=4)
    batch = {"x": X, "y": Y, "weight": np.ones(12), "index": np.arange(12)}
    new = run(augment.compose(augment.flip(), mix), KEY, batch)
    flipped = run(augment.compose(augment.flip()), KEY, batch)
    x, y = mix.batch(random.fold_in(own_key(2, 0, 0), 1), flipped["x"], Y)
    np.testing.assert_array_equal(new["x"], x)
    np.testing.assert_allclose(new["y"], y, atol=1e-6)
    assert set(new) == set(batch)
    np.testing.assert_array_equal(new["weight"], batch["weight"])
    np.testing.assert_array_equal(flipped["y"], Y)


def test_a_batch_without_labels_stays_so():
    assert set(run(augment.flip(), KEY, {"x": X})) == {"x"}


def test_plain_functions_may_change_anything():
    tokens = np.arange(12).reshape(4, 3)
    new = augment.on_batch(lambda key, x: x[::-1], KEY, {"x": tokens, "y": tokens})["x"]
    np.testing.assert_array_equal(new, tokens[:, ::-1])


def test_images_of_other_integers_are_refused():
    with pytest.raises(TypeError, match=r"flip.* needs images of uint8 .* got int32; convert"):
        augment.on_batch(augment.flip(), KEY, {"x": X.astype(np.int32), "y": Y})
