import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import serial
from fcnn.layers.linear import dense

KEY = random.key(0)


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3), (2, 2, 2, 3)])
def test_dense_is_a_product_over_the_last_axis_plus_a_bias(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype("f4")
    layer = dense(4, bias_init=("normal", 1.0))
    params, state = layer.init(KEY, x)
    y, state = layer.apply(params, state, x)
    expected = np.zeros((*shape[:-1], 4))
    for at in np.ndindex(expected.shape):
        column = np.asarray(params["kernel"], np.float64)[:, at[-1]]
        expected[at] = (x[at[:-1]] * column).sum() + params["bias"][at[-1]]
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    assert state == {}


def test_dense_without_a_bias_has_none():
    params, _ = dense(4, bias=False).init(KEY, jnp.ones((2, 3)))
    assert jax.tree.map(jnp.shape, params) == {"kernel": (3, 4)}


@pytest.mark.parametrize("rows", [32_769, 40_001])
def test_large_odd_numbers_of_rows_of_three_are_computed_right(rows):
    x = np.random.default_rng(0).standard_normal((rows, 3)).astype("f4")
    layer = dense(3)
    params, _ = layer.init(KEY, x)

    @jax.jit
    def run(params, x):
        y, pull = jax.vjp(lambda p: jax.nn.relu(layer.apply(p, {}, x)[0]), params)
        return y, pull(y)[0]

    y, gradient = run(params, x)
    expected = np.maximum(x.astype("f8") @ np.asarray(params["kernel"], "f8"), 0)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient["kernel"], x.T @ expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(gradient["bias"], expected.sum(0), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dense_computes_in_the_dtype_of_its_input(dtype):
    x = jnp.ones((2, 3), dtype)
    with jax.numpy_dtype_promotion("strict"):
        params, _ = dense(4).init(KEY, x)
        assert dense(4).apply(params, {}, x)[0].dtype == dtype
    assert params["kernel"].dtype == params["bias"].dtype == "float32"


def test_numpy_arrays_of_any_floating_dtype_are_taken():
    x = np.ones((2, 3))  # float64, which jax holds as float32
    params, state = dense(4).init(KEY, x)
    assert dense(4).apply(params, state, x)[0].dtype == "float32"


def test_errors_name_the_layer_and_both_numbers():
    model = serial(hidden=dense(4))
    params, state = model.init(KEY, jnp.ones((2, 3)))
    for run in (model.init, jax.jit(model.init)):
        with pytest.raises(TypeError, match=r"hidden computes .* got uint8\[2,3\]; put rescale"):
            run(KEY, jnp.ones((2, 3), "uint8"))
        with pytest.raises(ValueError, match=r"hidden needs an input .* got float32\[3\]"):
            run(KEY, jnp.ones(3))
    with pytest.raises(ValueError, match="hidden: the kernel is made for 3 channels and x has 5"):
        model.apply(params, state, jnp.ones((2, 5)))
    with pytest.raises(ValueError, match="features must be a positive integer, got 0"):
        dense(0)
