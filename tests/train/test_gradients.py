"""Gradients in parts and uphill, against the whole batch and against numpy."""

import jax
import numpy as np
import optax
import pytest

import fcnn
from fcnn import batch_norm, conv, dense, flatten, frozen, metrics, optimizers, relu, remat, serial
from fcnn.train import make_step, start

from .parts import assert_equal, bands

KEY = jax.random.key(0)
SLOW = pytest.mark.slow
SGD = optax.sgd(0.5)
MODEL = serial(flatten, dense(8), relu, dense(3))


def steps(model, batch, count=3, optimizer=SGD, **options):
    """The train state after some steps on a batch, and what the last found."""
    ts = start(model, optimizer, KEY, batch["x"], trainable=options.get("trainable", ".*"))
    step = make_step(model, optimizer=optimizer, **options)
    for _ in range(count):
        ts, found = step(ts, batch)
    return ts, found


def batch_of(n=24, weighted=True):
    data = bands(n)
    weight = np.where(np.arange(n) < n - 7, np.linspace(0.5, 2, n), 0).astype(np.float32)
    return {"x": data.x, "y": data.y, **({"weight": weight} if weighted else {})}


@pytest.mark.parametrize(
    ("parts", "weighted"),
    [pytest.param(2, False, marks=SLOW), (6, True), pytest.param(24, True, marks=SLOW)],
)
def test_the_gradient_in_parts_is_that_of_the_batch(parts, weighted):
    """The last parts of the weighted batch weigh nothing."""
    options = {"metrics": {"accuracy": metrics.accuracy}, "penalty": optimizers.l2(1e-2)}
    batch = batch_of(weighted=weighted)
    whole, one = steps(MODEL, batch, **options)
    ts, found = steps(MODEL, batch, accumulate=parts, **options)
    jax.tree.map(
        lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-5, atol=1e-6), ts.params, whole.params
    )
    assert one.keys() == found.keys()
    for name in one:
        np.testing.assert_allclose(found[name], one[name], rtol=1e-6)


@pytest.mark.slow
def test_a_batch_that_weighs_nothing_has_the_gradient_of_the_penalty_in_parts_too():
    batch = {**batch_of(), "weight": np.zeros(24, np.float32)}
    options = {"penalty": optimizers.l2(1e-2), "count": 1}
    whole, part = (steps(MODEL, batch, accumulate=n, **options)[0] for n in (1, 4))
    jax.tree.map(
        lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-6), whole.params, part.params
    )


def test_a_batch_norm_sees_part_after_part():
    model, batch = serial(flatten, batch_norm(), dense(3)), batch_of(weighted=False)
    ts, _ = steps(model, batch, count=1, accumulate=3)
    params, state = model.init(jax.random.split(KEY)[0], batch["x"])
    for x in np.split(batch["x"], 3):
        _, state = model.apply(params, state, x, train=True)
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-5), ts.state, state)


@pytest.mark.slow
def test_parts_need_the_memory_of_one():
    model = serial(conv(16, 3), relu, conv(16, 3), relu, flatten, dense(3))
    batch = batch_of(96, weighted=False)

    def needed(parts):
        ts = start(model, SGD, KEY, batch["x"])
        step = make_step(model, optimizer=SGD, accumulate=parts)
        return step.lower(ts, batch).compile().memory_analysis().temp_size_in_bytes

    assert needed(8) < needed(1) / 3


def softmax_regression(x, y, radius, count):
    """Three steps of SAM in numpy: the two gradients of softmax regression, by its formula."""
    params, _ = serial(flatten, dense(3)).init(jax.random.split(KEY)[0], x)
    kernel, bias = (np.asarray(params["dense1"][name], float) for name in ("kernel", "bias"))
    x = x.reshape(len(x), -1).astype(float)

    def gradient(kernel, bias):
        z = x @ kernel + bias
        p = np.exp(z - z.max(1, keepdims=True))
        error = (p / p.sum(1, keepdims=True) - np.eye(3)[y]) / len(x)
        return x.T @ error, error.sum(0)

    for _ in range(count):
        a, b = gradient(kernel, bias)
        scale = radius / np.sqrt((a**2).sum() + (b**2).sum())
        a, b = gradient(kernel + scale * a, bias + scale * b)
        kernel, bias = kernel - 0.5 * a, bias - 0.5 * b
    return {"kernel": kernel, "bias": bias}


@pytest.mark.parametrize("radius", [pytest.param(0.05, marks=SLOW), 1.0])
def test_sharpness_aware_steps_are_those_of_the_paper(radius):
    batch = batch_of(weighted=False)
    expected = softmax_regression(batch["x"], batch["y"], radius, 3)
    ts, _ = steps(serial(flatten, dense(3)), batch, sharpness=radius)
    plain, _ = steps(serial(flatten, dense(3)), batch)
    for name, value in expected.items():
        np.testing.assert_allclose(ts.params["dense1"][name], value, rtol=1e-4, atol=1e-6)
        assert not np.allclose(plain.params["dense1"][name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_loss_and_statistics_of_a_sharpness_aware_step_are_of_the_first_pass():
    model, batch = serial(flatten, dense(8), batch_norm(), dense(3)), batch_of()
    plain, one = steps(model, batch, count=1)
    ts, found = steps(model, batch, count=1, sharpness=0.5)
    assert one["loss"] == found["loss"]
    assert_equal(plain.state, ts.state)
    kernels = (each.params["dense1"]["kernel"] for each in (plain, ts))
    assert not np.allclose(*kernels, atol=1e-4)


def test_a_sharpness_aware_step_goes_uphill_by_what_is_trained_alone():
    """A penalty of what is frozen has a gradient, which is none of the step."""
    model, batch = serial(flatten, stem=dense(8), head=dense(3)), batch_of()
    options = {"count": 1, "sharpness": 0.5, "trainable": "head/.*"}
    plain, _ = steps(model, batch, **options)
    ts, _ = steps(model, batch, penalty=optimizers.l2(10, "stem/.*"), **options)
    assert_equal(ts.params, plain.params)


@pytest.mark.slow
def test_the_two_ways_compose():
    whole, one = steps(MODEL, batch_of(), sharpness=0.2)
    ts, found = steps(MODEL, batch_of(), sharpness=0.2, accumulate=4)
    jax.tree.map(
        lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-4, atol=1e-6), ts.params, whole.params
    )
    np.testing.assert_allclose(found["loss"], one["loss"], rtol=1e-5)


@pytest.mark.parametrize(
    "around", [pytest.param(lambda part: part, marks=SLOW), remat], ids=["frozen", "remat(frozen)"]
)
def test_what_frozen_made_does_not_decay(around):
    model = serial(flatten, stem=around(frozen(serial(dense(8), relu))), head=dense(3))
    decaying = optimizers.adamw(0.1, weight_decay=0.5)
    before = start(model, decaying, KEY, batch_of()["x"]).params
    ts, _ = steps(model, batch_of(), optimizer=decaying)
    assert_equal(ts.params["stem"], before["stem"])
    assert not np.allclose(ts.params["head"]["kernel"], before["head"]["kernel"])


@pytest.mark.slow
def test_a_layer_that_is_jitted_is_trained_like_others():
    inner = dense(3)
    jitted = fcnn.Layer(inner.init, jax.jit(inner.apply, static_argnames="train"))
    batch = {"x": batch_of()["x"].reshape(24, -1), "y": batch_of()["y"]}
    one, two = (steps(layer, batch)[0] for layer in (inner, jitted))
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-5), one.params, two.params)
