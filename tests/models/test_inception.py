"""GoogLeNet, Inception-v3 and Xception."""

import jax
import jax.numpy as jnp
import pytest

import fcnn
from fcnn import models


def images(side):
    return jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)


def seen(model, x):
    """The shapes of all that is computed on the way."""
    params, state = jax.eval_shape(model.init, jax.random.key(0), x)
    _, outputs = jax.eval_shape(fcnn.capture(model.apply), params, state, x)
    return {path: y.shape[1:] for path, y in outputs.items()}


MAPS = {  # side of the images, and what the tables of the papers say of height, width, features
    "googlenet": (
        224,
        {"inception3a": (28, 28, 256), "inception4e": (14, 14, 832), "inception5b": (7, 7, 1024)},
    ),
    "inception_v3": (
        299,
        {
            "conv4a": (71, 71, 192),
            "mixed5d": (35, 35, 288),
            "mixed6e": (17, 17, 768),
            "mixed7c": (8, 8, 2048),
        },
    ),
    "xception": (
        299,
        {"block3": (19, 19, 728), "block12": (10, 10, 1024), "conv4": (10, 10, 2048)},
    ),
}


@pytest.mark.parametrize(
    "name", ["googlenet", "xception", pytest.param("inception_v3", marks=pytest.mark.slow)]
)
def test_maps_are_as_large_as_in_the_tables_of_the_papers(name):
    side, expected = MAPS[name]
    maps = seen(models.build(name, classes=0), images(side))
    assert {path: maps[path] for path in expected} == expected


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("inception_v3", 75), ("xception", 71)])
def test_images_may_be_as_small_as_that(name, least):
    assert fcnn.out_spec(models.build(name, classes=4), images(least)).shape == (2, 4)


@pytest.mark.slow
def test_smaller_ones_are_refused_where_they_end():
    with pytest.raises(ValueError, match=r"^mixed7a/branch3x3/conv2/conv: kernel 3x3 does not fit"):
        fcnn.out_spec(models.inception_v3(classes=4), images(74))


def test_an_unknown_xception_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match="like must be one of keras, timm, got 'torch'"):
        models.xception(like="torch")
