"""SqueezeNet and its module."""

import jax
import jax.numpy as jnp
import numpy as np

from fcnn.models.squeezenet import fire


def test_half_of_a_fire_module_sees_its_pixel_and_half_the_neighbours():
    x = np.zeros((1, 5, 5, 2), np.float32)
    layer = fire(3, 8)
    params, state = layer.init(jax.random.key(0), x)
    moved = np.abs(
        jax.jacobian(lambda x: layer.apply(params, state, x + 0.1)[0])(x)[0, 2, 2, :, 0]
    ).sum((0, 3))
    assert (moved[0:5] > 0).sum() == 9
    one = jax.tree.map(jnp.zeros_like, params["expand"]["three"])
    params = {**params, "expand": {**params["expand"], "three": one}}
    gradient = jax.jacobian(lambda x: layer.apply(params, state, x + 0.1)[0])(x)[0, 2, 2, :, 0]
    assert (np.abs(gradient).sum((0, 3)) > 0).sum() == 1
