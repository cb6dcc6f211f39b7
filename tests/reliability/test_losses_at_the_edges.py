"""Losses of extreme outputs against formulas in float64: values, gradients, limits."""

import functools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fcnn import losses, stateless
from fcnn.train import make_step, start
from fcnn.train.stepping import weighted_mean

CLASSES = (2, 3, 31, 257, 1000)
QUICKLY = {"xla_backend_optimization_level": 0}  # what is asked here is meaning, not speed


class Case(NamedTuple):
    """A loss, how its outputs and targets are drawn, and its value and gradient in float64."""

    loss: Any
    draw: Callable[..., Any]
    formula: Callable[..., Any]  # (outputs, targets) -> (value [n], gradient like outputs)
    infinite: bool = True  # outputs of minus infinity, where the target is not, are in its domain


def extreme(rng, n, k):
    """Outputs [n, k] that bfloat16 holds: large, all equal, ordinary."""
    z = rng.normal(size=(n, k)) * rng.choice([1, 10, 1e4], (n, 1))
    kind = np.arange(n) % 4
    z[kind == 0] = rng.choice([-1e4, 0, 1e4], (n, k))[kind == 0]
    z[kind == 1] = rng.choice([-1e4, -1, 0, 1, 1e4], (n, 1))[kind == 1]
    return z.clip(-1e4, 1e4)


def of_classes(rng, n, k, infinite):
    z, labels = extreme(rng, n, k), rng.integers(0, k, n)
    if infinite:
        rows = np.arange(2, n, 4)
        z[rows, (labels[rows] + 1) % k] = -np.inf
    return z, labels


def of_soft_classes(rng, n, k, infinite):
    targets = rng.dirichlet(np.full(k, 0.3), n).astype(np.float32)
    return extreme(rng, n, k), targets / targets.sum(-1, keepdims=True)


def of_labels(rng, n, k, infinite):
    z = extreme(rng, n, min(k, 31))
    t = rng.choice([0, 0.25, 1], z.shape)
    if infinite:
        t[2::4, 0], z[2::4, 0] = 0, -np.inf
    return z, t.astype(np.float32)


def of_numbers(rng, n, k, infinite, least=-1e4, most=1e4):
    y, t = (extreme(rng, n, min(k, 31)).clip(least, most) for _ in range(2))
    t[3::4] = y[3::4] + rng.normal(size=y[3::4].shape)
    return y, t.astype(np.float32)


def rows_of(z, targets):
    return targets if targets.shape == z.shape else np.eye(z.shape[-1])[targets]


def log_softmax(z):
    shifted = z - z.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def log_sigmoid(z):
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def sigmoid(z):
    return np.exp(log_sigmoid(z))


def times(p, x):
    """``p * x``, where nothing of something infinite is nothing."""
    return np.where(p == 0, 0, p * np.where(p == 0, 0, x))


def cross_entropy(z, targets, smoothing=0.0):
    t = (1 - smoothing) * rows_of(z, targets) + smoothing / z.shape[-1]
    return -times(t, log_softmax(z)).sum(-1), np.exp(log_softmax(z)) * t.sum(-1)[:, None] - t


def focal(z, labels, gamma):
    log_p, t = log_softmax(z), rows_of(z, labels)
    own = (t * np.where(t == 0, 0, log_p)).sum(-1, keepdims=True)
    p, miss = np.exp(own), -np.expm1(own)
    rise = miss**gamma / np.where(miss == 0, 1, miss) * own  # at a miss of zero it is zero too
    slope = gamma * p * rise - miss**gamma
    return (-(miss**gamma) * own)[:, 0], slope * (t - np.exp(log_p))


def kl_divergence(z, targets):
    value, gradient = cross_entropy(z, targets)
    t = rows_of(z, targets)
    return value + (t * np.log(np.where(t == 0, 1, t))).sum(-1), gradient


def hinge(z, labels):
    t = rows_of(z, labels)
    others = np.where(t > 0, -np.inf, z)
    best = others == others.max(-1, keepdims=True)
    margin = 1 + others.max(-1) - (t * np.where(t == 0, 0, z)).sum(-1)
    gradient = best / best.sum(-1, keepdims=True) - t
    return np.maximum(margin, 0), np.where(margin[:, None] > 0, gradient, 0)


def binary_cross_entropy(z, t, positive=1.0):
    value = -positive * times(t, log_sigmoid(z)) - times(1 - t, log_sigmoid(-z))
    return value, (1 - t) * sigmoid(z) - positive * t * sigmoid(-z)


def binary_focal(z, t, gamma, alpha=None):
    above, below = (1, 1) if alpha is None else (alpha, 1 - alpha)
    p, q = sigmoid(z), sigmoid(-z)
    log_p, log_q = (np.where(np.isinf(x), 0, x) for x in (log_sigmoid(z), log_sigmoid(-z)))
    value = -above * t * q**gamma * log_p - below * (1 - t) * p**gamma * log_q
    positive = gamma * q**gamma * p * log_p - q ** (gamma + 1)
    negative = gamma * p**gamma * q * log_q - p ** (gamma + 1)
    return value, above * t * positive - below * (1 - t) * negative


def binary_hinge(z, t, power=1):
    sign = 2 * t - 1
    margin = np.maximum(1 - sign * z, 0)
    return margin**power, -sign * power * margin ** (power - 1) * (margin > 0)


def squared_log_error(y, t):
    error = np.log1p(np.maximum(y, 0)) - np.log1p(t)
    return error**2, np.where(y > 0, 2 * error / (1 + np.maximum(y, 0)), 0)


def huber(y, t):
    error = y - t
    inside = np.abs(error) <= 1
    return np.where(inside, error**2 / 2, np.abs(error) - 0.5), np.clip(error, -1, 1)


def percentage_error(y, t):
    size = np.maximum(np.abs(t), np.finfo(np.float32).eps)
    return np.abs(y - t) / size, np.sign(y - t) / size


def log_cosh(y, t):
    error = np.abs(y - t)
    small = np.log1p(2 * np.sinh(np.minimum(error, 1) / 2) ** 2)
    return np.where(error < 1, small, error + np.log1p(np.exp(-2 * error)) - np.log(2)), np.tanh(
        y - t
    )


def cosine(y, t):
    sizes = [np.linalg.norm(x, axis=-1, keepdims=True) for x in (y, t)]
    a, b = (x / np.where(s == 0, 1, s) for x, s in zip((y, t), sizes, strict=True))
    both = (a * b).sum(-1, keepdims=True)
    return (1 - both)[:, 0], -(b - both * a) / np.where(sizes[0] == 0, 1, sizes[0])


def poisson(y, t):
    return np.exp(y) - t * y, np.exp(y) - t


def averaged(formula, **options):
    """A formula of single numbers as one of examples, which are their means."""

    def of_examples(y, t):
        value, gradient = formula(y, t, **options)
        return value.mean(-1), gradient / y.shape[-1]

    return of_examples


def of_counts(rng, n, k, infinite):
    y, t = of_numbers(rng, n, k, infinite, least=-10, most=3)
    return y, np.abs(np.round(t))


def not_negative(rng, n, k, infinite):
    y, t = of_numbers(rng, n, k, infinite)
    return y, np.abs(t)


CASES = {
    "cross_entropy": Case(losses.cross_entropy, of_classes, cross_entropy),
    "cross_entropy, soft": Case(losses.cross_entropy, of_soft_classes, cross_entropy),
    "cross_entropy, smoothed": Case(
        partial(losses.cross_entropy, smoothing=0.1),
        of_classes,
        partial(cross_entropy, smoothing=0.1),
        infinite=False,
    ),
    "kl_divergence": Case(losses.kl_divergence, of_soft_classes, kl_divergence),
    **{
        f"focal, {gamma}": Case(
            partial(losses.focal, gamma=gamma), of_classes, partial(focal, gamma=gamma)
        )
        for gamma in (0.0, 0.5, 1.0, 2.0, 5.0)
    },
    "hinge": Case(losses.hinge, of_classes, hinge),
    "binary_cross_entropy": Case(
        losses.binary_cross_entropy, of_labels, averaged(binary_cross_entropy)
    ),
    "binary_cross_entropy, weighted": Case(
        partial(losses.binary_cross_entropy, positive_weight=3.0),
        of_labels,
        averaged(binary_cross_entropy, positive=3.0),
    ),
    "binary_focal": Case(losses.binary_focal, of_labels, averaged(binary_focal, gamma=2.0)),
    "binary_focal, alpha": Case(
        partial(losses.binary_focal, gamma=1.0, alpha=0.25),
        of_labels,
        averaged(binary_focal, gamma=1.0, alpha=0.25),
    ),
    "binary_hinge": Case(losses.binary_hinge, of_labels, averaged(binary_hinge)),
    "squared_hinge": Case(losses.squared_hinge, of_labels, averaged(binary_hinge, power=2)),
    "squared_error": Case(
        losses.squared_error, of_numbers, averaged(lambda y, t: ((y - t) ** 2, 2 * (y - t)))
    ),
    "absolute_error": Case(
        losses.absolute_error, of_numbers, averaged(lambda y, t: (np.abs(y - t), np.sign(y - t)))
    ),
    "percentage_error": Case(losses.percentage_error, of_numbers, averaged(percentage_error)),
    "squared_log_error": Case(losses.squared_log_error, not_negative, averaged(squared_log_error)),
    "huber": Case(losses.huber, of_numbers, averaged(huber)),
    "log_cosh": Case(losses.log_cosh, of_numbers, averaged(log_cosh)),
    "cosine": Case(losses.cosine, of_numbers, cosine),
    "poisson": Case(losses.poisson, of_counts, averaged(poisson)),
}


def drawn(case, seed, n, k):
    """Outputs that are exact in bfloat16, and targets."""
    rng = np.random.default_rng([seed, k])
    outputs, targets = case.draw(rng, n, k, case.infinite)
    outputs = outputs.astype(jnp.bfloat16)
    return outputs, targets


@functools.cache
def results(name, cases):
    """Examples of every number of classes, and what their loss is, in one program."""
    case = CASES[name]
    data = [drawn(case, 0, cases // len(CLASSES), k) for k in CLASSES]

    @functools.partial(jax.jit, compiler_options=QUICKLY)
    def run(data):
        def one(outputs, targets):
            value, pull = jax.vjp(lambda y: case.loss(y, targets), outputs)
            return value, pull(jnp.ones_like(value))[0]

        def masked(outputs, targets):
            nothing = jnp.zeros(len(outputs))
            loss = jax.value_and_grad(lambda y: weighted_mean(case.loss(y, targets), nothing))
            return loss(outputs)

        found = {
            dtype: [one(outputs.astype(dtype), targets) for outputs, targets in data]
            for dtype in ("float32", "bfloat16")
        }
        return {**found, "masked": [masked(y.astype(jnp.float32), t) for y, t in data]}

    return data, run(data)


@pytest.mark.parametrize("cases", [500, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_of_extreme_outputs_are_those_of_float64(name, cases):
    data, found = results(name, cases)
    for i, (outputs, targets) in enumerate(data):
        with np.errstate(all="ignore"):
            value, gradient = CASES[name].formula(outputs.astype(np.float64), targets)
        assert np.isfinite(value).all()
        assert np.isfinite(gradient).all()
        for dtype, tolerance in (("float32", 1e-6), ("bfloat16", 1e-2)):
            y, dy = found[dtype][i]
            assert (y.dtype, dy.dtype) == ("float32", dtype)
            np.testing.assert_allclose(y, value, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(
                dy.astype(np.float32), gradient, rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize("name", CASES)
def test_examples_that_weigh_nothing_give_no_loss_and_no_gradient(name):
    for value, gradient in results(name, 500)[1]["masked"]:
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)


def test_a_step_on_a_batch_that_is_masked_out_changes_no_bit():
    outputs, labels = of_classes(np.random.default_rng(0), 12, 5, infinite=False)
    layer = stateless(
        lambda key, x: {"kernel": jnp.asarray(outputs, jnp.float32)},
        lambda params, x: params["kernel"] + 0 * x,
    )
    x = np.zeros((12, 5), np.float32)
    optimizer = optax.sgd(1.0)
    ts = start(layer, optimizer, jax.random.key(0), x)
    step = make_step(layer, optimizer=optimizer)
    batch = {"x": x, "y": labels, "weight": np.zeros(12, np.float32)}
    ts, found = step(ts, batch)
    assert found["loss"] == 0
    assert found["finite"]
    np.testing.assert_array_equal(ts.params["kernel"], outputs.astype(np.float32))
    ts, found = step(ts, {**batch, "weight": np.ones(12, np.float32)})
    assert (np.asarray(ts.params["kernel"]) != outputs.astype(np.float32)).any()


@pytest.mark.parametrize("k", [2, 1000])
def test_smoothing_focal_and_kl_have_cross_entropy_as_their_limit_at_the_edges(k):
    z, labels = of_classes(np.random.default_rng(0), 100, k, infinite=True)

    @jax.jit
    def limits(z):
        return (
            losses.cross_entropy(z, labels),
            losses.cross_entropy(z, labels, smoothing=0.0),
            losses.focal(z, labels, gamma=0.0),
            losses.kl_divergence(z, labels),
        )

    expected, *found = limits(z.astype(np.float32))
    for values in found:
        np.testing.assert_allclose(values, expected, rtol=1e-6)
    ordinary = z.clip(-10, 10).astype(np.float32)
    for smoothing, tolerance in ((1e-3, 2e-2), (1e-5, 2e-4), (1e-7, 1e-5)):
        smooth = losses.cross_entropy(ordinary, labels, smoothing=smoothing)
        np.testing.assert_allclose(smooth, limits(ordinary)[0], atol=tolerance)


def test_weights_and_focal_have_binary_cross_entropy_as_their_limit_at_the_edges():
    z, t = of_labels(np.random.default_rng(0), 100, 4, infinite=True)

    @jax.jit
    def limits(z):
        return (
            losses.binary_cross_entropy(z, t),
            losses.binary_cross_entropy(z, t, positive_weight=jnp.ones(4)),
            losses.binary_focal(z, t, gamma=0.0),
            2 * losses.binary_focal(z, t, gamma=0.0, alpha=0.5),
        )

    expected, *found = limits(z.astype(np.float32))
    for values in found:
        np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_every_loss_has_a_formula():
    plain = {getattr(case.loss, "func", case.loss).__name__ for case in CASES.values()}
    assert plain == set(losses.names())
