import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn import ops
from fcnn.core import build, out_spec, serial
from fcnn.layers.resampling import pixel_shuffle, pixel_unshuffle, resize

KEY = random.key(0)
X = np.random.default_rng(0).standard_normal((2, 6, 4, 8)).astype("f4")


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (resize((5, 9)), lambda: ops.resize(X, (5, 9))),
        (resize(scale=2, method="bilinear"), lambda: ops.resize(X, (12, 8), "bilinear")),
        (resize(scale=(0.5, 1.9)), lambda: ops.resize(X, (3, 7))),
        (
            resize(3, method="bicubic", antialias=False),
            lambda: ops.resize(X, 3, "bicubic", antialias=False),
        ),
        (
            resize(9, method="bilinear", align_corners=True),
            lambda: ops.resize(X, 9, "bilinear", align_corners=True),
        ),
        (pixel_shuffle(2), lambda: ops.pixel_shuffle(X, 2)),
        (pixel_unshuffle(2), lambda: ops.pixel_unshuffle(X, 2)),
    ],
    ids=["size", "scale", "scales", "antialias", "corners", "shuffle", "unshuffle"],
)
def test_layers_pass_their_options_to_the_operation(layer, expected):
    for made in (layer, build(layer.recipe.to_json())):
        params, state = made.init(KEY, X)
        assert (params, state) == ({}, {})
        np.testing.assert_array_equal(made.apply(params, state, X)[0], expected())


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_layers_compute_in_the_dtype_of_their_input_under_strict_promotion(method):
    with jax.numpy_dtype_promotion("strict"):
        for dtype in ("bfloat16", "float32"):
            x = jnp.ones((1, 4, 4, 1), dtype)
            assert out_spec(resize(scale=1.5, method=method), x).dtype == dtype


def test_errors_name_the_layer_when_shapes_are_known():
    for layer, text in (
        (resize(scale=0.1), r"up: scale 0.1 leaves nothing of the spatial size \(6, 4\)"),
        (resize((3, 3, 3)), r"up: size \(3, 3, 3\) has 3 entries"),
        (resize(scale=(2, 2, 2)), r"up: scale \(2, 2, 2\) has 3 entries"),
        (pixel_shuffle(3), "up: 8 channels do not divide"),
        (pixel_unshuffle(4), r"up: the sizes of float32\[2,6,4,8\] do not divide by 4"),
    ):
        with pytest.raises(ValueError, match=text):
            serial(up=layer).init(KEY, X)
    with pytest.raises(TypeError, match="up computes in floating point"):
        serial(up=resize(8, method="bilinear")).init(KEY, X.astype("uint8"))


def test_options_that_suit_no_input_are_refused_when_the_layer_is_made():
    for make, text in (
        (lambda: resize(), "give either size or scale"),
        (lambda: resize(8, scale=2), "give either size or scale"),
        (lambda: resize(0), "size must be a positive integer"),
        (lambda: resize(scale=0), "scale must be positive, got 0"),
        (lambda: resize(8, method="area"), "method must be one of nearest"),
        (lambda: resize(8, align_corners=True), "align_corners goes with"),
        (lambda: pixel_shuffle(0), "factor must be a positive integer"),
        (lambda: pixel_unshuffle((2, 2)), "factor must be a positive integer"),
    ):
        with pytest.raises(ValueError, match=text):
            make()
