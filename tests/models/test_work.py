"""Multiplications and additions, in billions for one image, as torchvision states them."""

import jax
import jax.numpy as jnp
import pytest

import fcnn
from fcnn import models

QUICK = {
    "alexnet": 0.714,
    "vgg16": 15.47,
    "squeezenet1_0": 0.819,
    "squeezenet1_1": 0.349,
    "googlenet": 1.498,
    "resnet50": 4.089,
    "resnext50_32x4d": 4.23,
}
SLOW = {
    "vgg11_bn": 7.609,
    "vgg13": 11.308,
    "vgg19": 19.632,
    "densenet121": 2.834,
    "densenet161": 7.728,
    "densenet169": 3.36,
    "densenet201": 4.291,
    "inception_v3": 5.713,
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet101": 7.801,
    "resnet152": 11.514,
    "wide_resnet50_2": 11.398,
}


@pytest.mark.parametrize(
    ("name", "billions"),
    [*QUICK.items(), *(pytest.param(*row, marks=pytest.mark.slow) for row in SLOW.items())],
)
def test_a_network_takes_as_many_as_torchvision_states(name, billions):
    side = 299 if name == "inception_v3" else 224
    x = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    assert round(fcnn.summary(models.build(name), x).macs / 1e9, 3) == billions
