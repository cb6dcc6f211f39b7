"""Gates against the formulas in float64 numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import capture, serial
from fcnn.layers.gating import layer_scale, squeeze_excite


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("size", [(5,), (4, 3), (2, 3, 2)])
def test_squeeze_excite_is_the_formula(size):
    x = numbers(2, *size, 8)
    layer = squeeze_excite(2)
    params, state = layer.init(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, params) == {
        "reduce": {"kernel": (8, 4), "bias": (4,)},
        "expand": {"kernel": (4, 8), "bias": (8,)},
    }
    params = jax.tree.map(lambda p: numbers(*p.shape, seed=p.size), params)
    axes = tuple(range(1, x.ndim - 1))
    s = np.float64(x).mean(axes, keepdims=True)
    s = np.maximum(s @ params["reduce"]["kernel"] + params["reduce"]["bias"], 0)
    s = s @ params["expand"]["kernel"] + params["expand"]["bias"]
    y = jax.jit(layer.apply)(params, state, x)[0]
    np.testing.assert_allclose(y, x / (1 + np.exp(-s)), atol=1e-5)


def test_squeeze_excite_takes_other_functions_and_widths():
    x = numbers(2, 4, 4, 8)
    layer = squeeze_excite(
        features=3, activation=jax.nn.silu, gate=lambda s: jnp.zeros_like(s) + 0.5
    )
    params, state = layer.init(jax.random.key(0), x)
    assert params["reduce"]["kernel"].shape == (8, 3)
    np.testing.assert_allclose(layer.apply(params, state, x)[0], x / 2, atol=1e-6)
    few = squeeze_excite(16).init(jax.random.key(0), x)[0]
    assert few["reduce"]["kernel"].shape == (8, 1)


def test_the_children_of_squeeze_excite_are_seen():
    model = serial(gate=squeeze_excite(2))
    x = numbers(2, 4, 4, 8)
    _, outputs = capture(model.apply)(*model.init(jax.random.key(0), x), x)
    assert list(outputs) == ["gate/reduce", "gate/expand", "gate"]


def test_layer_scale_is_a_factor_for_each_channel():
    x = numbers(2, 3, 4)
    layer = layer_scale(0.5)
    params, state = layer.init(jax.random.key(0), x)
    np.testing.assert_array_equal(layer.apply(params, state, x)[0], x / 2)
    scale = np.arange(4, dtype=np.float32)
    np.testing.assert_array_equal(layer.apply({"scale": scale}, state, x)[0], x * scale)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: squeeze_excite(0), "positive"),
        (lambda: squeeze_excite(features=0), "positive"),
        (lambda: layer_scale(float("nan")), "finite"),
        (
            lambda: squeeze_excite().init(jax.random.key(0), np.ones((2, 8), np.float32)),
            r"n, \.\.\., c",
        ),
    ],
)
def test_what_cannot_work_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
