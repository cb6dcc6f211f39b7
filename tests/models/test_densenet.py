"""DenseNet and its layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fcnn
from fcnn import models
from fcnn.models.densenet import dense_layer

X = np.random.default_rng(0).normal(size=(2, 6, 6, 5)).astype(np.float32)


def test_a_layer_passes_on_what_came_in_and_adds_to_it():
    layer = dense_layer(4)
    params, state = layer.init(jax.random.key(0), X)
    assert params["conv1"]["kernel"].shape == (1, 1, 5, 16)
    y, _ = layer.apply(params, state, X)
    assert y.shape == (2, 6, 6, 9)
    np.testing.assert_array_equal(y[..., :5], X)


def test_dropout_falls_on_what_is_new_only():
    params, state = dense_layer(4).init(jax.random.key(0), X)
    plain, _ = dense_layer(4).apply(params, state, X, train=True)
    y, _ = dense_layer(4, rate=0.5).apply(params, state, X, train=True, key=jax.random.key(0))
    np.testing.assert_array_equal(y[..., :5], X)
    kept = np.asarray(y[..., 5:] != 0)
    assert 0.3 < kept.mean() < 0.7
    np.testing.assert_allclose(y[..., 5:], np.where(kept, 2 * plain[..., 5:], 0), rtol=1e-5)


def test_the_small_stem_keeps_the_size_of_small_pictures():
    x = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
    for stem, side in (("small", 32), ("standard", 8)):
        model = models.densenet121(classes=0, stem=stem)
        params, state = jax.eval_shape(model.init, jax.random.key(0), x)
        _, seen = jax.eval_shape(fcnn.capture(model.apply), params, state, x)
        assert seen["block1"].shape == (2, side, side, 256)
    with pytest.raises(ValueError, match="stem must be one of standard, small, got 'tiny'"):
        models.densenet121(stem="tiny")
