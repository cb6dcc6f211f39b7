"""Embedding: rows of a table, and nothing for integers that have none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import serial
from fcnn.layers.embeddings import embedding

IDS = np.array([[0, 4, 2], [4, 4, 1]])


def test_the_output_is_rows_of_the_table():
    layer = embedding(5, 3)
    params, state = layer.init(jax.random.key(0), IDS)
    assert params["kernel"].shape == (5, 3)
    assert params["kernel"].dtype == jnp.float32
    for run in (layer.apply, jax.jit(layer.apply)):
        for dtype in ("int32", "uint8"):
            y, _ = run(params, state, IDS.astype(dtype))
            np.testing.assert_array_equal(y, np.asarray(params["kernel"])[IDS])


def test_the_gradient_counts_how_often_an_integer_came():
    layer = embedding(5, 3)
    params, state = layer.init(jax.random.key(0), IDS)
    g = jax.grad(lambda p: layer.apply(p, state, IDS)[0].sum())(params)["kernel"]
    np.testing.assert_array_equal(g[:, 0], np.bincount(IDS.ravel(), minlength=5))


def test_the_gradient_and_the_output_equal_torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    layer, theirs = embedding(5, 3), torch.nn.Embedding(5, 3)
    params = {"kernel": jnp.asarray(theirs.weight.detach().numpy())}
    w = np.random.default_rng(0).normal(size=(2, 3, 3)).astype(np.float32)
    y = theirs(torch.tensor(IDS))
    (y * torch.tensor(w)).sum().backward()
    g = jax.grad(lambda p: (w * layer.apply(p, {}, IDS)[0]).sum())(params)["kernel"]
    np.testing.assert_array_equal(layer.apply(params, {}, IDS)[0], y.detach().numpy())
    np.testing.assert_allclose(g, theirs.weight.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize("bad", [-1, 5, 1000])
def test_an_integer_without_a_vector_is_an_error_or_nan_but_never_another_vector(bad):
    layer = serial(words=embedding(5, 3))
    ids = np.array([1, bad, 2])
    params, state = layer.init(jax.random.key(0), ids)
    with pytest.raises(ValueError, match=rf"words has vectors for 0 to 4, got {bad}"):
        layer.apply(params, state, ids)
    y, _ = jax.jit(layer.apply)(params, state, ids)
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[::2]).all()


@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_only_integers_are_taken(dtype):
    x = np.ones((2, 3), dtype)
    with pytest.raises(TypeError, match=f"embedding takes integers, got {dtype}"):
        embedding(5, 3).init(jax.random.key(0), x)
    with pytest.raises(TypeError, match=f"embedding takes integers, got {dtype}"):
        embedding(5, 3).apply({"kernel": jnp.ones((5, 3))}, {}, x)


@pytest.mark.parametrize("sizes", [(0, 3), (5, 0), (5.0, 3)])
def test_sizes_are_positive_integers(sizes):
    with pytest.raises(ValueError, match="positive integer"):
        embedding(*sizes)
