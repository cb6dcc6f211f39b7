"""Attention against torch, and against the formula in float64 numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fcnn.core import capture, serial
from fcnn.layers.attending import attention


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def start(layer, x):
    params, _ = layer.init(jax.random.key(0), x)
    return jax.tree.map(lambda p: p + 0.1 * numbers(*p.shape, seed=p.size), params)


def formula(params, x, context, heads, causal=False):
    def project(name, x):
        kernel, bias = np.float64(params[name]["kernel"]), np.float64(params[name]["bias"])
        return np.split(np.float64(x) @ kernel + bias, heads if name != "out" else 1, -1)

    queries, keys, values = project("query", x), project("key", context), project("value", context)
    outputs = []
    for q, k, v in zip(queries, keys, values, strict=True):
        logits = q @ np.swapaxes(k, 1, 2) / np.sqrt(q.shape[-1])
        if causal:
            logits[:, *np.triu_indices(logits.shape[-1], 1)] = -np.inf
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        outputs.append(weights / weights.sum(-1, keepdims=True) @ v)
    return project("out", np.concatenate(outputs, -1))[0]


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_is_the_formula(causal):
    x = numbers(2, 5, 8)
    layer = attention(2, causal=causal)
    params = start(layer, x)
    y = jax.jit(layer.apply)(params, {}, x)[0]
    np.testing.assert_allclose(y, formula(params, x, x, 2, causal), atol=1e-5)


def test_cross_attention_is_the_formula_and_features_is_the_width():
    x, context = numbers(2, 3, 6), numbers(2, 5, 7, seed=1)
    layer = attention(4, features=8)
    params = start(layer, (x, context))
    y = jax.jit(layer.apply)(params, {}, (x, context))[0]
    assert y.shape == (2, 3, 8)
    np.testing.assert_allclose(y, formula(params, x, context, 4), atol=1e-5)


def test_causal_attention_does_not_see_what_comes_later():
    x = numbers(1, 6, 8)
    layer = attention(2, causal=True)
    params = start(layer, x)
    later = np.concatenate([x[:, :4], numbers(1, 2, 8, seed=5)], 1)
    first, second = (layer.apply(params, {}, z)[0] for z in (x, later))
    np.testing.assert_allclose(first[:, :4], second[:, :4], atol=1e-6)
    assert (first[:, 4:] != second[:, 4:]).all()


@pytest.mark.parametrize("causal", [False, True])
def test_outputs_and_gradients_equal_torch(causal):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    x, w = numbers(2, 5, 8), numbers(2, 5, 8, seed=1)
    layer = attention(2, causal=causal)
    params = start(layer, x)
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    names = ("query", "key", "value")
    stacked = np.concatenate([np.asarray(params[name]["kernel"]).T for name in names])
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.tensor(stacked))
        bias = np.concatenate([params[name]["bias"] for name in names])
        theirs.in_proj_bias.copy_(torch.tensor(bias))
        theirs.out_proj.weight.copy_(torch.tensor(np.asarray(params["out"]["kernel"]).T.copy()))
        theirs.out_proj.bias.copy_(torch.tensor(np.asarray(params["out"]["bias"])))
    tx = torch.tensor(x, requires_grad=True)
    mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1) if causal else None
    ty = theirs(tx, tx, tx, attn_mask=mask, need_weights=False)[0]
    (ty * torch.tensor(w)).sum().backward()

    @jax.jit
    def run(params, x):
        y, pull = jax.vjp(lambda p, x: layer.apply(p, {}, x)[0], params, x)
        return y, *pull(w)

    y, gp, gx = run(params, x)
    np.testing.assert_allclose(y, ty.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(gx, tx.grad.numpy(), atol=1e-4)
    g = np.concatenate([gp[name]["kernel"].T for name in names])
    np.testing.assert_allclose(g, theirs.in_proj_weight.grad.numpy(), atol=1e-4)
    np.testing.assert_allclose(
        gp["out"]["kernel"].T, theirs.out_proj.weight.grad.numpy(), atol=1e-4
    )


def test_gradients_are_those_of_finite_differences():
    with jax.enable_x64(True):
        x = jnp.asarray(numbers(1, 3, 4), jnp.float64)
        layer = attention(2, causal=True)
        params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), start(layer, x))
        loss = jax.jit(lambda params, x: (layer.apply(params, {}, x)[0] ** 2).sum())
        check_grads(loss, (params, x), order=1, atol=1e-6, rtol=1e-6)


def test_capture_shows_the_weights():
    x, context = numbers(2, 3, 4), numbers(2, 5, 4)
    model = serial(look=attention(2))
    params, state = model.init(jax.random.key(0), (x, context))
    _, outputs = capture(model.apply)(params, state, (x, context))
    weights = outputs["look/weights"]
    assert weights.shape == (2, 2, 3, 5)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)


def test_dropping_weights_is_random_only_in_training():
    x = numbers(2, 3, 4)
    layer = attention(2, rate=0.5)
    params = start(layer, x)
    off = layer.apply(params, {}, x)[0]
    np.testing.assert_array_equal(off, attention(2).apply(params, {}, x)[0])
    on = layer.apply(params, {}, x, train=True, key=jax.random.key(0))[0]
    assert (on != off).any()
    with pytest.raises(ValueError, match="weights needs a key"):
        layer.apply(params, {}, x, train=True)


def test_large_logits_in_half_precision_stay_finite():
    x = jnp.asarray(100 * numbers(1, 4, 4), jnp.bfloat16)
    layer = attention(2)
    params = start(layer, x)
    with jax.numpy_dtype_promotion("strict"):
        y = layer.apply(params, {}, x)[0]
    assert y.dtype == jnp.bfloat16
    assert np.isfinite(np.asarray(y, np.float32)).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: attention(0), "heads must be a positive integer"),
        (lambda: attention(3, features=8), "3 heads do not divide 8"),
        (lambda: attention(2, rate=1.0), "probability of dropping"),
        (lambda: attention(3).init(None, numbers(2, 5, 8)), "3 heads do not divide 8"),
        (lambda: attention(2).init(None, numbers(2, 5, 5, 8)), r"needs \[n, length, c\]"),
        (lambda: attention(2).init(None, (numbers(2, 5, 8),) * 3), "pair"),
        (
            lambda: attention(2, causal=True).init(None, (numbers(2, 5, 8), numbers(2, 4, 8))),
            "of one length, got 5 and 4",
        ),
    ],
)
def test_what_cannot_work_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
