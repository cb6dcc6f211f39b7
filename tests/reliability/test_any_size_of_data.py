"""Any number of examples in batches of any size: figures are exact, and programs compile once."""

import functools

import jax
import numpy as np
import optax
import pytest

import fcnn
from fcnn import Layer, dense, serial
from fcnn.core.network import start_network
from fcnn.data import batches
from fcnn.train import make_step, start

OPTIMIZER = optax.sgd(0.0)


def sizes(count):
    """Pairs of numbers: examples and batch size; ten of one size, whose edges are among them."""
    rng = np.random.default_rng(0)
    every = rng.permutation(64) + 1
    for size in np.resize(every, count // 10):
        edges = [1, size - 1, size, size + 1, 2 * size, 3 * size, 3 * size + 1]
        others = rng.integers(1, 3 * size + 2, 10 - len(edges))
        yield int(size), [max(1, int(n)) for n in (*edges, *others)]


def noting(traces):
    def apply(params, state, x, *, train=False, key=None):
        traces.append(train)
        return x, state

    return Layer(lambda key, x: ({}, {}), apply)


def examples(n):
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, 3)).astype(np.float32), rng.integers(0, 4, n)


def reference(network, x, y):
    """Accuracy and loss, one example at a time in float64."""
    kernel, bias = (np.float64(p) for p in jax.tree.leaves(network.params)[::-1])
    right, total = 0, 0.0
    for row, label in zip(np.float64(x), y, strict=True):
        logits = row @ kernel + bias
        right += int(logits.argmax() == label)
        total += np.log(np.exp(logits).sum()) - logits[label]
    return right / len(x), total / len(x)


@functools.cache
def learner():
    """A network, the step that trains it, and the traces of its layer."""
    traces = []
    layer = serial(noting(traces), dense(4))
    like = jax.ShapeDtypeStruct((3,), np.float32)
    network = start_network(layer, jax.random.key(0), np.zeros((1, 3), np.float32), input=like)
    return network, make_step(layer, optimizer=OPTIMIZER), traces


def epoch_loss(network, step, data, size):
    """The loss of an epoch as ``fit`` counts it, with a learning rate of zero."""
    ts = start(network, OPTIMIZER, jax.random.key(0))
    found = []
    for batch in batches(data, size, seed=1):
        ts, values = step(ts, batch)
        found.append((values["loss"], values["weight"]))
    losses, weights = np.array(found, np.float64).T
    assert weights.sum() == len(data[0])
    return np.average(losses, weights=weights)


@pytest.mark.parametrize("count", [100, pytest.param(2_000, marks=pytest.mark.slow)])
def test_figures_are_those_of_single_examples_and_programs_compile_once(count):
    network, step, traces = learner()
    tried = 0
    for size, numbers in sizes(count):
        for i, n in enumerate(numbers):
            x, y = examples(n)
            traces.clear()
            report = fcnn.evaluate(network, (x, y), batch_size=size)
            said = fcnn.predict(network, x, batch_size=size, raw=True)
            loss = epoch_loss(network, step, (x, y), size)
            assert i == 0 or not traces, (n, size)
            tried += 1

            accuracy, expected = reference(network, x, y)
            assert report.accuracy == pytest.approx(accuracy, abs=1e-12), (n, size)
            assert report.loss == pytest.approx(expected, abs=1e-6, rel=1e-6), (n, size)
            assert loss == pytest.approx(expected, abs=1e-6, rel=1e-6), (n, size)
            assert said.shape == (n, 4)
            assert (said.argmax(-1) == y).mean() == pytest.approx(accuracy, abs=1e-12)
    assert tried == count


@pytest.mark.parametrize(
    ("n", "size"),
    [(1, 64), (3, 2), pytest.param(193, 64, marks=pytest.mark.slow)],
)
def test_a_run_of_any_size_sees_each_example_once_an_epoch(n, size):
    x, y = examples(n)
    options = {"optimizer": OPTIMIZER, "epochs": 2, "batch_size": size, "progress": False}
    network, history = fcnn.fit(serial(dense(4)), (x, y), validation=(x, y), **options)
    accuracy, expected = reference(network, x, y)
    for name in ("loss", "validation_loss"):
        np.testing.assert_allclose(history[name], expected, rtol=1e-6)
    for name in ("accuracy", "validation_accuracy"):
        np.testing.assert_allclose(history[name], accuracy, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_no_examples_are_an_error_that_names_the_split(size):
    x, y = examples(5)
    network, *_ = learner()
    options = {"batch_size": size, "progress": False}
    with pytest.raises(ValueError, match=r"^train is empty"):
        fcnn.fit(dense(4), (x[:0], y[:0]), **options)
    with pytest.raises(ValueError, match=r"^validation is empty"):
        fcnn.fit(dense(4), (x, y), validation=(x[:0], y[:0]), **options)
    with pytest.raises(ValueError, match=r"^data is empty"):
        fcnn.evaluate(network, (x[:0], y[:0]), batch_size=size)
    assert fcnn.predict(network, x[:0], batch_size=size).shape == (0, 4)


@pytest.mark.parametrize(("few", "many"), [(0, 1), (6, 7), (63, 64)])
def test_lengths_that_differ_are_both_shown(few, many):
    x, y = examples(many)
    for run in (
        lambda: fcnn.fit(dense(4), (x, y[:few]), progress=False),
        lambda: fcnn.fit(dense(4), (x, y), validation=(x[:few], y), progress=False),
        lambda: fcnn.evaluate(learner()[0], (x, y[:few])),
    ):
        with pytest.raises(
            ValueError, match=rf"x has ({few}|{many}) examples, y has ({few}|{many})"
        ):
            run()
