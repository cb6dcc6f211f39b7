"""AlexNet and VGG."""

import functools

import jax
import jax.numpy as jnp
import pytest

import fcnn
from fcnn import models, trees


def images(side, channels=3):
    return jax.ShapeDtypeStruct((2, side, side, channels), jnp.float32)


@pytest.mark.parametrize(("name", "least"), [("alexnet", 63), ("vgg11", 32), ("vgg19_bn", 32)])
def test_images_may_be_as_small_as_the_poolings_allow(name, least):
    model = models.build(name, classes=5)
    assert fcnn.out_spec(model, images(least)).shape == (2, 5)
    assert fcnn.out_spec(model, images(least + 40, 1)).shape == (2, 5)
    with pytest.raises(ValueError, match="max_pool"):
        fcnn.out_spec(model, images(least - 1))


def test_without_classes_no_dropout_touches_the_features():
    for name, times in (("alexnet", 2), ("vgg11", 1)):
        model = models.build(name, classes=0)
        params, state = jax.eval_shape(model.init, jax.random.key(0), images(64))
        train = functools.partial(fcnn.capture(model.apply), train=True, key=jax.random.key(0))
        _, outputs = jax.eval_shape(train, params, state, images(64))
        assert sum(path.startswith("dropout") for path in outputs) == times


def test_the_modules_are_named_by_stage():
    params, _ = jax.eval_shape(models.vgg11_bn().init, jax.random.key(0), images(32))
    shapes = {path: leaf.shape for path, leaf in trees.flat(params).items()}
    assert shapes["stage3/conv2/kernel"] == (3, 3, 256, 256)
    assert shapes["stage5/bn2/scale"] == (512,)
    assert shapes["dense1/kernel"] == (25088, 4096)
