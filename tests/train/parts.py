"""Small data with an answer, and a layer that notes how often it is traced."""

import jax
import numpy as np

import fcnn
from fcnn import Layer, conv, dense, flatten, max_pool, relu, serial


def bands(n=60, seed=0):
    """8x8 pictures of three classes: a bright band at the top, middle or bottom, with noise."""
    y = np.arange(n) % 3
    x = np.random.default_rng(seed).normal(0, 0.3, (n, 8, 8, 1)).astype(np.float32)
    for i, band in enumerate(y):
        x[i, 3 * band : 3 * band + 2] += 1
    return fcnn.data.arrays(x, y, classes=["top", "middle", "bottom"])


def small(classes=3):
    return serial(conv(4, 3), relu, max_pool(2), flatten, dense(classes))


def noting(traces):
    """A layer that appends "train" or "eval" to ``traces`` whenever it is traced."""

    def apply(params, state, x, *, train=False, key=None):
        traces.append("train" if train else "eval")
        return x, state

    return Layer(lambda key, x: ({}, {}), apply)


def line(n=64, seed=0):
    """Numbers to predict: y = x @ [1, -2, 3] + 1."""
    x = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    return x, x @ np.array([1, -2, 3], np.float32) + 1


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)
