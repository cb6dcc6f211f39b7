"""Preprocessing: the formula, the dtypes, and the numbers in the recipe."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import build
from fcnn.layers.preprocessing import normalize, rescale

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.uint8)
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def run(layer, x):
    params, state = layer.init(jax.random.key(0), x)
    assert params == state == {}
    return layer.apply(params, state, x)[0]


@pytest.mark.parametrize(("mean", "std"), [(MEAN, STD), (127.5, 63.0), (MEAN, 50), (0, STD)])
def test_normalize_is_the_formula(mean, std):
    y = run(normalize(mean, std), PIXELS)
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y, (PIXELS - np.float64(mean)) / np.float64(std), atol=1e-6)


def test_rescale_is_the_formula():
    np.testing.assert_allclose(run(rescale(1 / 255), PIXELS), PIXELS / 255, atol=1e-7)
    np.testing.assert_allclose(run(rescale(2 / 255, -1), PIXELS), PIXELS / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("layer", [normalize(MEAN, STD), rescale(1 / 255, -0.5)])
@pytest.mark.parametrize("dtype", ["bool", "int32", "uint16"])
def test_integers_become_float32(layer, dtype):
    assert run(layer, PIXELS.astype(dtype)).dtype == jnp.float32


@pytest.mark.parametrize("layer", [normalize(MEAN, STD), rescale(1 / 255, -0.5)])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_floats_keep_their_dtype(layer, dtype):
    with jax.numpy_dtype_promotion("strict"):
        y = run(layer, jnp.asarray(PIXELS, dtype))
    assert y.dtype == dtype
    exact = np.asarray(run(layer, np.asarray(jnp.asarray(PIXELS, dtype), np.float32)))
    np.testing.assert_array_equal(y, exact.astype(dtype))  # computed in float32, rounded once


def test_the_numbers_travel_in_the_recipe():
    for layer in (
        normalize(np.float32(MEAN), list(STD)),
        normalize(np.array(2.0), 3),
        rescale(0.5, 1),
    ):
        again = build(json.loads(json.dumps(layer.recipe.to_json())))
        np.testing.assert_array_equal(run(layer, PIXELS), run(again, PIXELS))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: normalize(0, 0), "std must be positive"),
        (lambda: normalize(0, (1, -1)), "std must be positive"),
        (lambda: normalize(float("nan"), 1), "mean must be a finite number"),
        (lambda: normalize(0, [[1, 2]]), "std must be a finite number"),
        (lambda: rescale(float("inf")), "finite"),
        (lambda: normalize(MEAN[:2], 1).init(None, PIXELS), "2 numbers as mean"),
        (lambda: normalize(0, STD[:2]).init(None, PIXELS), "2 numbers as std"),
    ],
)
def test_what_cannot_work_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match="rescale takes integers or floats, got complex64"):
        rescale(1.0).init(None, np.ones(3, np.complex64))
