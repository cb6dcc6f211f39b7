"""Normalisation against torch, and against the formulas in float64 numpy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fcnn.layers.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)

NORMS = {
    "batch_norm": batch_norm(),
    "layer_norm": layer_norm(),
    "group_norm": group_norm(2),
    "instance_norm": instance_norm(),
    "rms_norm": rms_norm(),
}
AXES = {"batch_norm": (0, 1, 2), "layer_norm": (-1,), "instance_norm": (1, 2)}


def numbers(*shape, seed=0, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, shape).astype(np.float32)


def start(layer, x, seed=1):
    """Parameters and state of the layer, with no parameter at its plain initial value."""
    params, state = layer.init(jax.random.key(0), x)
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda p: p + rng.normal(size=p.shape).astype(np.float32), params), state


def standardized(x, axes, eps=1e-5):
    x = np.asarray(x, np.float64)
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)


def affine(params, y):
    return y * np.asarray(params.get("scale", 1.0)) + np.asarray(params.get("bias", 0.0))


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_the_output_is_the_formula_also_far_from_zero(name, mean):
    x = numbers(3, 4, 5, 6, mean=mean)
    params, state = start(NORMS[name], x)
    y, _ = NORMS[name].apply(params, state, x, train=True)
    want = affine(params, standardized(x, AXES[name]))
    np.testing.assert_allclose(y, want, atol=1e-5 + 1e-6 * mean)  # the mean itself is rounded


def test_group_norm_is_the_formula():
    x = numbers(3, 4, 5, 6)
    params, _ = start(NORMS["group_norm"], x)
    y = standardized(x.reshape(3, 20, 2, 3), (1, 3)).reshape(x.shape)
    np.testing.assert_allclose(
        NORMS["group_norm"].apply(params, {}, x)[0], affine(params, y), atol=1e-5
    )


def test_group_norm_of_one_group_and_of_single_channels_are_layer_and_instance_norm():
    x = numbers(2, 5, 4)
    whole = group_norm(1, scale=False, bias=False).apply({}, {}, x)[0]
    each = group_norm(4, scale=False, bias=False).apply({}, {}, x)[0]
    np.testing.assert_allclose(whole, standardized(x, (1, 2)), atol=1e-5)
    np.testing.assert_allclose(
        each, instance_norm(scale=False, bias=False).apply({}, {}, x)[0], atol=1e-6
    )


def test_rms_norm_is_the_formula():
    x = numbers(3, 5, 6)
    params, _ = start(NORMS["rms_norm"], x)
    y = x / np.sqrt((np.float64(x) ** 2).mean(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(
        NORMS["rms_norm"].apply(params, {}, x)[0], affine(params, y), atol=1e-5
    )


@pytest.mark.parametrize("unbiased", [True, False])
def test_running_statistics_follow_the_batches(unbiased):
    layer = batch_norm(0.7, unbiased=unbiased)
    params, state = layer.init(jax.random.key(0), numbers(4, 3))
    mean, var = np.zeros(3), np.ones(3)
    for step in range(3):
        x = numbers(4, 3, seed=step, mean=step)
        _, state = layer.apply(params, state, x, train=True)
        mean = 0.7 * mean + 0.3 * x.mean(0)
        var = 0.7 * var + 0.3 * np.var(np.float64(x), 0, ddof=int(unbiased))
    np.testing.assert_allclose(state["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(state["var"], var, rtol=1e-5)
    y, after = layer.apply(params, state, x)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-4)
    assert after is state


@pytest.mark.parametrize("rows", [32_769, 40_000])
def test_statistics_of_many_rows_are_exact(rows):
    x = numbers(rows, 3, mean=3.0)
    layer = batch_norm(0.0)
    params, state = layer.init(jax.random.key(0), x)
    y, state = jax.jit(layer.apply, static_argnames="train")(params, state, x, train=True)
    np.testing.assert_allclose(state["mean"], np.float64(x).mean(0), rtol=1e-5)
    np.testing.assert_allclose(state["var"], np.float64(x).var(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(y, standardized(x, (0,)), atol=2e-5)

    def loss(x, s):
        return (s * layer.apply(params, state, x, train=True)[0]).sum()

    s = numbers(rows, 3, seed=5)
    z = standardized(x, (0,))
    pull = s - s.mean(0, dtype=np.float64) - z * (s * z).mean(0)
    np.testing.assert_allclose(
        jax.jit(jax.grad(loss))(x, s), pull / np.float64(x).std(0), atol=5e-5
    )


@pytest.mark.parametrize("rows", [32_769, 40_000])
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "instance_norm", "group_norm"])
def test_many_short_rows_are_exact(name, rows):
    shape = {"instance_norm": (rows, 3, 2), "group_norm": (rows, 4)}.get(name, (rows, 3))
    x = numbers(*shape)
    layer = NORMS[name]
    params, state = layer.init(jax.random.key(0), x)
    y = jax.jit(layer.apply)(params, state, x)[0]
    wide = np.float64(x)
    want = {
        "layer_norm": lambda: standardized(x, (-1,)),
        "rms_norm": lambda: wide / np.sqrt((wide**2).mean(-1, keepdims=True) + 1e-6),
        "instance_norm": lambda: standardized(x, (1,)),
        "group_norm": lambda: standardized(wide.reshape(rows, 2, 2), (-1,)).reshape(x.shape),
    }[name]()
    np.testing.assert_allclose(y, want, atol=5e-4)  # rows of nearly equal numbers lose digits


@pytest.mark.parametrize("name", NORMS)
def test_gradients_are_those_of_finite_differences(name):
    with jax.enable_x64(True):
        x = jnp.asarray(numbers(3, 2, 2, 4), jnp.float64)
        params, state = jax.tree.map(lambda p: p.astype(jnp.float64), start(NORMS[name], x))
        weights = jnp.asarray(numbers(*x.shape, seed=7), jnp.float64)

        @jax.jit
        def loss(params, x):
            return (weights * NORMS[name].apply(params, state, x, train=True)[0]).sum()

        check_grads(loss, (params, x), order=1, atol=1e-6, rtol=1e-6)


def test_the_derivative_of_batch_norm_is_that_of_its_formula():
    def formula(x):
        mean = x.mean((0, 1), keepdims=True)
        var = ((x - mean) ** 2).mean((0, 1), keepdims=True)
        return (x - mean) / jnp.sqrt(var + 1e-5), mean, var

    def layer(x):  # with momentum 0 the state holds the statistics of the batch
        norm = batch_norm(0.0, scale=False, bias=False, unbiased=False)
        state = {"mean": jnp.zeros(3, x.dtype), "var": jnp.ones(3, x.dtype)}
        y, state = norm.apply({}, state, x, train=True)
        return y, state["mean"][None, None], state["var"][None, None]

    with jax.enable_x64(True):
        x, *weights = (jnp.asarray(numbers(4, 2, 3, seed=i), jnp.float64) for i in range(4))

        def derivatives(fn):
            def loss(x):
                parts = zip(fn(x), weights, strict=True)
                return sum((w * part + part**2).sum() for part, w in parts)

            return (
                loss(x),
                jax.grad(loss)(x),
                jax.jvp(loss, (x,), (weights[0],)),
                jax.hessian(loss)(x),
            )

        for ours, theirs in zip(
            *(jax.jit(derivatives, static_argnums=0)(f) for f in (layer, formula)), strict=True
        ):
            jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-10), ours, theirs)


@pytest.mark.parametrize("name", NORMS)
def test_half_precision_comes_back_with_statistics_in_float32(name):
    x = jnp.asarray(numbers(8, 16, 4, 4, mean=1.0), jnp.bfloat16)
    params, state = start(NORMS[name], x)
    train = jax.jit(partial(NORMS[name].apply, train=True))
    with jax.numpy_dtype_promotion("strict"):
        y, after = train(params, state, x)
    exact, _ = train(params, state, x.astype(jnp.float32))
    assert y.dtype == jnp.bfloat16
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(after))
    np.testing.assert_array_equal(y, exact.astype(jnp.bfloat16))


def test_scale_and_bias_can_be_left_out():
    x = numbers(2, 3, 4)
    for make in (batch_norm, layer_norm, instance_norm):
        params, _ = make(scale=False, bias=False).init(jax.random.key(0), x)
        assert params == {}
        params, _ = make(scale=False).init(jax.random.key(0), x)
        assert set(params) == {"bias"}
    assert rms_norm(scale=False).init(jax.random.key(0), x) == ({}, {})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: batch_norm(1.5), "part that is kept"),
        (lambda: batch_norm(eps=0), "eps"),
        (lambda: layer_norm(-1.0), "eps"),
        (lambda: group_norm(0), "groups"),
        (lambda: group_norm(4).init(None, np.ones((2, 6))), "4 groups do not divide 6"),
        (lambda: instance_norm().init(None, np.ones((2, 1, 1, 6))), "more than one position"),
        (lambda: batch_norm().init(None, np.ones(6)), "n, c"),
    ],
)
def test_what_cannot_work_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("name", NORMS)
def test_integers_are_refused(name):
    with pytest.raises(TypeError, match=rf"{name} computes in floating point and got uint8"):
        NORMS[name].init(None, np.ones((2, 4, 4, 4), np.uint8))


@pytest.mark.parametrize("shape", [(1, 4), (1, 1, 1, 4), (0, 4), (0, 3, 3, 4), (2, 0, 3, 4)])
def test_batch_norm_cannot_train_on_fewer_than_two_values(shape):
    x = np.ones(shape, np.float32)
    params, state = batch_norm().init(jax.random.key(0), x)
    with pytest.raises(ValueError, match="batch_norm cannot train on fewer than two values"):
        batch_norm().apply(params, state, x, train=True)
    y, after = batch_norm().apply(params, state, x)
    assert y.shape == shape
    assert after is state


def torch_like(x):
    """Channels first, a leaf that wants a gradient."""
    import torch

    return torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)


def test_batch_norm_equals_torch_over_three_steps():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    layer, theirs = batch_norm(), torch.nn.BatchNorm2d(5)
    params, state = start(layer, numbers(4, 3, 3, 5))
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(np.asarray(params["scale"])))
        theirs.bias.copy_(torch.tensor(np.asarray(params["bias"])))
    for step in range(3):
        x, w = numbers(4, 3, 3, 5, seed=step, mean=step), numbers(4, 3, 3, 5, seed=9)
        theirs.zero_grad()
        tx = torch_like(x)
        ty = theirs(tx)
        (ty * torch.tensor(np.moveaxis(w, -1, 1).copy())).sum().backward()

        def loss(params, x, state=state, w=w):
            y, after = layer.apply(params, state, x, train=True)
            return (w * y).sum(), (y, after)

        (gp, gx), (y, state) = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, x)
        np.testing.assert_allclose(y, np.moveaxis(ty.detach().numpy(), 1, -1), atol=1e-5)
        np.testing.assert_allclose(gx, np.moveaxis(tx.grad.numpy(), 1, -1), atol=1e-4)
        np.testing.assert_allclose(gp["scale"], theirs.weight.grad.numpy(), atol=1e-4)
        np.testing.assert_allclose(gp["bias"], theirs.bias.grad.numpy(), atol=1e-4)
        np.testing.assert_allclose(state["mean"], theirs.running_mean.numpy(), atol=1e-5)
        np.testing.assert_allclose(state["var"], theirs.running_var.numpy(), atol=1e-5)
    theirs.eval()
    y = layer.apply(params, state, x)[0]
    np.testing.assert_allclose(
        y, np.moveaxis(theirs(torch_like(x)).detach().numpy(), 1, -1), atol=1e-5
    )


def test_the_others_equal_torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    x, w = numbers(4, 3, 3, 6), numbers(4, 3, 3, 6, seed=9)
    pairs = [
        (group_norm(3), torch.nn.GroupNorm(3, 6), True),
        (instance_norm(), torch.nn.InstanceNorm2d(6, affine=True), True),
        (layer_norm(), torch.nn.LayerNorm(6), False),
        (rms_norm(), torch.nn.RMSNorm(6, eps=1e-6), False),
    ]
    for layer, theirs, first in pairs:
        params, _ = start(layer, x)
        with torch.no_grad():
            for name, value in params.items():
                {"scale": theirs.weight, "bias": getattr(theirs, "bias", None)}[name].copy_(
                    torch.tensor(np.asarray(value))
                )
        put, back = ((-1, 1), (1, -1)) if first else ((0, 0), (0, 0))
        tx = torch.tensor(np.moveaxis(x, *put).copy(), requires_grad=True)
        ty = theirs(tx)
        (ty * torch.tensor(np.moveaxis(w, *put).copy())).sum().backward()

        @jax.jit
        def run(params, x, layer=layer):
            y, pull = jax.vjp(lambda params, x: layer.apply(params, {}, x)[0], params, x)
            return y, *pull(w)

        y, gp, gx = run(params, x)
        np.testing.assert_allclose(y, np.moveaxis(ty.detach().numpy(), *back), atol=1e-5)
        np.testing.assert_allclose(gx, np.moveaxis(tx.grad.numpy(), *back), atol=1e-4)
        if "scale" in gp:
            np.testing.assert_allclose(gp["scale"], theirs.weight.grad.numpy(), atol=1e-4)
