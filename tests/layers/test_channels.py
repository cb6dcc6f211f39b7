"""Parameters of one number a channel meet only inputs that they were made for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import Layer, serial
from fcnn.layers import (
    batch_norm,
    global_response_norm,
    group_norm,
    instance_norm,
    layer_norm,
    layer_scale,
    prelu,
    rms_norm,
)
from fcnn.layers.channels import check_channels

LAYERS = {
    "batch_norm": batch_norm(),
    "batch_norm without parameters": batch_norm(scale=False, bias=False),
    "layer_norm": layer_norm(),
    "layer_norm with a bias": layer_norm(scale=False),
    "group_norm": group_norm(1),
    "instance_norm": instance_norm(),
    "rms_norm": rms_norm(),
    "global_response_norm": global_response_norm(),
    "prelu": prelu(),
    "layer_scale": layer_scale(),
}


def refused(layer: Layer, made: int, got: int, **options):
    """The text of the error that a layer for ``made`` channels gives on ``got``, while traced."""
    params, state = layer.init(jax.random.key(0), jnp.ones((2, 3, 3, made)))
    run = jax.jit(layer.apply, static_argnames="train")
    with pytest.raises(ValueError, match="channels") as error:
        jax.eval_shape(lambda x: run(params, state, x, **options), jnp.ones((2, 3, 3, got)))
    return str(error.value)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("made", "got"), [(8, 1), (1, 8), (8, 4)])
@pytest.mark.parametrize("name", LAYERS)
def test_another_number_of_channels_is_refused_never_broadcast(name, made, got, train):
    text = refused(LAYERS[name], made, got, train=train)
    assert text == f"{name.split()[0]} is made for {made} channels and x has {got}"


def test_the_layer_is_named_by_its_path():
    assert refused(serial(stem=serial(bn=batch_norm())), 8, 1).startswith("stem/bn is made for 8")


def test_one_slope_for_all_channels_meets_any_number_of_them():
    layer = prelu(0.5, shared=True)
    params, state = layer.init(jax.random.key(0), jnp.ones((2, 8)))
    np.testing.assert_array_equal(layer.apply(params, state, -jnp.ones((2, 3)))[0], -0.5)


@pytest.mark.parametrize("name", LAYERS)
def test_integers_are_refused_when_applied_as_when_initialised(name):
    layer, pixels = LAYERS[name], np.ones((2, 3, 3, 4), np.uint8)
    with pytest.raises(TypeError, match=f"{name.split()[0]} computes in floating point"):
        layer.init(jax.random.key(0), pixels)
    params, state = layer.init(jax.random.key(0), np.float32(pixels))
    with pytest.raises(TypeError, match=f"{name.split()[0]} computes in floating point"):
        layer.apply(params, state, pixels)


def test_values_may_be_nested_or_none():
    x = jnp.ones((2, 3))
    check_channels("norm", x, {})
    check_channels("norm", x, ({"scale": jnp.ones(3)}, {"mean": np.ones(3)}))
    with pytest.raises(ValueError, match="norm is made for 4 channels and x has 3"):
        check_channels("norm", x, ({"scale": jnp.ones(3)}, {"mean": np.ones(4)}))
