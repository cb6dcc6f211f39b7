"""Small layers of plain jax, so that the core is tested without the rest of the house."""

import jax.numpy as jnp
from jax import random

from fcnn.core import Layer, here, layer, stateless


@layer(name="parts:linear")
def linear(features):
    """x W + b."""

    def init(key, x):
        kernel = random.normal(key, (x.shape[-1], features)) / x.shape[-1] ** 0.5
        return {"kernel": kernel, "bias": jnp.zeros(features)}

    def apply(params, x):
        return x @ params["kernel"].astype(x.dtype) + params["bias"].astype(x.dtype)

    return stateless(init, apply)


@layer(name="parts:counter")
def counter():
    """Counts its calls in training."""

    def init(key, x):
        return {}, {"calls": jnp.zeros(())}

    def apply(params, state, x, *, train=False, key=None):
        return x, {"calls": state["calls"] + train}

    return Layer(init, apply)


@layer(name="parts:noise")
def noise():
    """Adds normal noise in training."""

    def apply(params, state, x, *, train=False, key=None):
        if not train:
            return x, state
        if key is None:
            raise ValueError(f"{here()} needs a key")
        return x + random.normal(key, x.shape, x.dtype), state

    return Layer(lambda key, x: ({}, {}), apply)
