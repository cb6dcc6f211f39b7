"""What the families have in common: features instead of classes, and dropout."""

import functools

import jax
import jax.numpy as jnp
import pytest

from fcnn import models

FEATURES = {  # of a network without classes
    "alexnet": 4096,
    "vgg11": 4096,
    "vgg13_bn": 4096,
    "squeezenet1_0": 512,
    "squeezenet1_1": 512,
    "densenet121": 1024,
    "googlenet": 1024,
    "inception_v3": 2048,
    "xception": 2048,
    "resnet18": 512,
    "resnet50": 2048,
    "resnet20": 64,
}
DROPPING = (
    "alexnet", "vgg11", "squeezenet1_0", "densenet121", "googlenet", "inception_v3", "xception",
)  # fmt: skip
X = jax.ShapeDtypeStruct((2, 96, 96, 3), jnp.float32)


SLOW = ("densenet121", "inception_v3")  # to trace


def over(names):
    return [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in names]


@pytest.mark.parametrize("name", over(FEATURES))
def test_without_classes_a_network_ends_in_features(name):
    model = models.build(name, classes=0)
    params, state = jax.eval_shape(model.init, jax.random.key(0), X)
    y, _ = jax.eval_shape(model.apply, params, state, X)
    assert y.shape == (2, FEATURES[name])
    assert "head" not in params


@pytest.mark.parametrize("name", over(DROPPING))
def test_the_rate_is_that_of_the_dropout(name):
    model = models.build(name, classes=3, rate=0.5)
    params, state = jax.eval_shape(model.init, jax.random.key(0), X)
    with pytest.raises(ValueError, match="key"):
        jax.eval_shape(functools.partial(model.apply, train=True), params, state, X)
    model = models.build(name, classes=3, rate=0.0)
    jax.eval_shape(functools.partial(model.apply, train=True), params, state, X)
    with pytest.raises(ValueError, match=r"rate .*1\.5"):
        models.build(name, rate=1.5)
