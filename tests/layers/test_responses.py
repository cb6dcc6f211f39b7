"""Response norms against the formulas in float64 numpy, and their gradients against differences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fcnn.layers.responses import global_response_norm, local_response_norm

LAYERS = {
    "local_response_norm": local_response_norm(3, alpha=0.5),
    "global_response_norm": global_response_norm(),
}


def numbers(*shape, seed=0, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, shape).astype(np.float32)


def start(layer, x):
    """Parameters of the layer, none of them at its plain initial value."""
    params, _ = layer.init(jax.random.key(0), x)
    return jax.tree.map(lambda p: p + numbers(*p.shape, seed=p.size), params)


def test_global_response_norm_is_the_formula_and_starts_as_the_identity():
    x = numbers(2, 4, 5, 3)
    layer = LAYERS["global_response_norm"]
    np.testing.assert_array_equal(layer.apply(*layer.init(jax.random.key(0), x), x)[0], x)
    params = start(layer, x)
    norm = np.sqrt((np.float64(x) ** 2).sum((1, 2), keepdims=True))
    y = x + params["scale"] * x * norm / (norm.mean(-1, keepdims=True) + 1e-6) + params["bias"]
    np.testing.assert_allclose(layer.apply(params, {}, x)[0], y, atol=1e-5)


def test_global_response_norm_has_a_gradient_where_a_channel_is_dead():
    x = np.zeros((1, 2, 2, 3), np.float32)
    params, _ = LAYERS["global_response_norm"].init(jax.random.key(0), x)
    g = jax.grad(lambda x: LAYERS["global_response_norm"].apply(params, {}, x)[0].sum())(x)
    np.testing.assert_array_equal(g, np.ones_like(x))


@pytest.mark.parametrize(("size", "k"), [(5, 1.0), (4, 2.0), (1, 1.0), (9, 1.0)])
def test_local_response_norm_is_the_loop_over_channels(size, k):
    x = numbers(2, 3, 6)
    y = np.empty(x.shape)
    for c in range(6):
        around = np.float64(x)[..., max(0, c - size // 2) : c + (size - 1) // 2 + 1]
        y[..., c] = x[..., c] / (k + 0.5 / size * (around**2).sum(-1)) ** 0.75
    got, _ = local_response_norm(size, alpha=0.5, k=k).apply({}, {}, x)
    np.testing.assert_allclose(got, y, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_those_of_finite_differences(name):
    with jax.enable_x64(True):
        x = jnp.asarray(numbers(3, 2, 2, 4), jnp.float64)
        params = jax.tree.map(lambda p: p.astype(jnp.float64), start(LAYERS[name], x))
        weights = jnp.asarray(numbers(*x.shape, seed=7), jnp.float64)

        @jax.jit
        def loss(params, x):
            return (weights * LAYERS[name].apply(params, {}, x)[0]).sum()

        check_grads(loss, (params, x), order=1, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_half_precision_comes_back_with_sums_in_float32(name):
    x = jnp.asarray(numbers(8, 16, 4, 4, mean=1.0), jnp.bfloat16)
    params = start(LAYERS[name], x)
    run = jax.jit(partial(LAYERS[name].apply, params, {}))
    with jax.numpy_dtype_promotion("strict"):
        y, _ = run(x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y, run(x.astype(jnp.float32))[0].astype(jnp.bfloat16))


@pytest.mark.parametrize("name", LAYERS)
def test_integers_are_refused(name):
    with pytest.raises(TypeError, match=rf"{name} computes in floating point and got uint8"):
        LAYERS[name].init(None, np.ones((2, 4, 4, 4), np.uint8))


def test_what_cannot_work_is_refused():
    with pytest.raises(ValueError, match="size must be a positive integer"):
        local_response_norm(0)
    with pytest.raises(ValueError, match="eps keeps a division away from zero"):
        global_response_norm(0)
    with pytest.raises(ValueError, match=r"local_response_norm needs input of shape \[n, c\]"):
        local_response_norm().init(None, np.ones(4, np.float32))


def test_a_numpy_integer_as_size_does_not_decide_the_dtype():
    x = jnp.ones((2, 3, 4), jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"):
        y, _ = local_response_norm(np.int64(3)).apply({}, {}, x)
    np.testing.assert_array_equal(y, local_response_norm(3).apply({}, {}, x)[0])


def test_local_response_norm_and_its_gradient_equal_torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    x, w = numbers(4, 3, 3, 6), numbers(4, 3, 3, 6, seed=9)
    theirs = torch.nn.LocalResponseNorm(5, 0.3, 0.75, 2.0)
    tx = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    ty = theirs(tx)
    (ty * torch.tensor(np.moveaxis(w, -1, 1).copy())).sum().backward()
    y, pull = jax.vjp(lambda x: local_response_norm(5, 0.3, 0.75, 2.0).apply({}, {}, x)[0], x)
    np.testing.assert_allclose(y, np.moveaxis(ty.detach().numpy(), 1, -1), atol=1e-5)
    np.testing.assert_allclose(pull(w)[0], np.moveaxis(tx.grad.numpy(), 1, -1), atol=1e-4)
