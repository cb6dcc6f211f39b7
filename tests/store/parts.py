"""A small network of registered layers, and checkpoints that follow from their step."""

import math
import os

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

import fcnn.core as fcnn
from fcnn.store import tensors
from fcnn.store.checkpoints import write_checkpoint

FILES = ("manifest.json", "state.npz")
INPUT = jax.ShapeDtypeStruct((5,), jnp.float32)


@fcnn.layer(name="test:store_affine")
def affine(features, *, scale=1.0):
    def init(key, x):
        kernel = scale * jax.random.normal(key, (x.shape[-1] * features,))
        return {"kernel": kernel.reshape(-1, features), "bias": jnp.full(features, 0.25)}

    def apply(params, x):
        return x @ params["kernel"] + params["bias"]

    return fcnn.stateless(init, apply)


@fcnn.layer(name="test:store_counter")
def counter():
    def init(key, x):
        return {}, {"calls": jnp.zeros((), jnp.int32), "mean": jnp.full(x.shape[-1], 1 / 3)}

    def apply(params, state, x, *, train=False, key=None):
        return x + state["mean"], {**state, "calls": state["calls"] + 1}

    return fcnn.Layer(init, apply)


def network(features=3):
    model = fcnn.serial(affine(4), counter(), fcnn.identity, head=affine(features, scale=0.5))
    params, state = model.init(jax.random.key(1), jnp.zeros((1, 5)))
    return fcnn.Network(
        model, params, state, classes=("a", "b", "ü"), output="sigmoid", input=INPUT
    )


def inputs():
    return jnp.linspace(-1, 1, 20).reshape(4, 5)


def values(step, variant=0):
    """Arrays of several kinds, of which each step and variant has its own."""
    numbers = np.random.Generator(np.random.Philox(key=step, counter=[0, 0, 0, variant]))
    kernel = numbers.standard_normal((3, 4)).astype(np.float32)
    return {
        "params": {"stem": {"kernel": kernel, "half": kernel[0].astype(ml_dtypes.bfloat16)}},
        "state": {},
        "opt_state": {"0": {"mu": {"stem": {"kernel": -kernel}}, "count": np.int32(step)}},
        "key": jax.random.wrap_key_data(np.array([variant, step], np.uint32)),
    }


def notes(step, variant=0):
    row = {"epoch": step, "loss": 1 / (step + 1), "validation": math.nan, "best": math.inf}
    return {"variant": variant, "history": [row, {"worst": -math.inf}], "name": "ü", "none": None}


def put(folder, step, variant=0):
    return write_checkpoint(folder, step, values(step, variant), notes(step, variant))


def same(checkpoint, step, variant=0):
    return (
        checkpoint.step == step
        and tensors.encode(checkpoint.values) == tensors.encode(values(step, variant))
        and repr(checkpoint.notes) == repr(notes(step, variant))
    )


def flip(file, bit):
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)


def temporaries(folder):
    return [name for name in os.listdir(folder) if name[0] == "." and name != ".lock"]
