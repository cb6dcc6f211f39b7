"""Weights of classes mean what they say: examples that are there more often."""

import jax
import numpy as np
import optax
import pytest

import fcnn
from fcnn import dense, serial
from fcnn.train.feeding import class_weights

from ..train.parts import line


def rare(n, seed):
    """Two clouds of numbers that overlap; one example of twenty is of the second."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 20 == 0).astype(int)
    return rng.normal(size=(n, 4)).astype(np.float32) + 1.6 * y[:, None], y


@pytest.mark.parametrize("times", [[1, 2, 3], [0, 1, 4], [5, 5, 5]])
def test_a_run_with_weights_is_a_run_on_repeated_examples(times):
    """All examples in one batch, so that the two take the same steps."""
    x, y = line(30)[0], np.arange(30) % 3
    repeats = np.take(times, y)
    often = np.repeat(x, repeats, 0), np.repeat(y, repeats)
    options = {"epochs": 5, "optimizer": optax.sgd(0.5), "progress": False}
    weights = dict(enumerate(times))
    a, one = fcnn.fit(serial(dense(3)), (x, y), class_weight=weights, batch_size=30, **options)
    b, two = fcnn.fit(serial(dense(3)), often, batch_size=len(often[0]), **options)
    np.testing.assert_allclose(one["loss"], two["loss"], rtol=1e-6)
    np.testing.assert_allclose(one["accuracy"], two["accuracy"], rtol=1e-6)
    for p, q in zip(*map(jax.tree.leaves, (a.params, b.params)), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(s, marks=pytest.mark.slow) for s in range(3, 10))]
)
def test_a_class_of_one_example_in_twenty_is_found_with_balanced_weights(seed):
    options = {"epochs": 10, "optimizer": optax.adam(1e-2), "seed": seed, "progress": False}
    held_out = rare(2000, seed + 100)
    recalls = []
    for weight in ("balanced", None):
        network, _ = fcnn.fit(serial(dense(2)), rare(400, seed), class_weight=weight, **options)
        report = fcnn.evaluate(network, held_out)
        recalls.append(report.per_class[1].recall)
    print(f"recall of the rare class: {recalls[0]:.2f} balanced, {recalls[1]:.2f} not")
    assert recalls[0] >= 0.8
    assert recalls[1] < recalls[0]


@pytest.mark.parametrize("count", [100, pytest.param(2_000, marks=pytest.mark.slow)])
def test_balanced_is_scikit_learns_formula_exactly(count):
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    rng = np.random.default_rng(0)
    for _ in range(count):
        k = int(rng.integers(2, 12))
        y = rng.choice(k, int(rng.integers(1, 500)), p=rng.dirichlet(np.full(k, 0.5)))
        data = fcnn.data.arrays(np.zeros((len(y), 1)), y)
        names, outputs = tuple(map(str, range(k))), jax.ShapeDtypeStruct((1, k), np.float32)
        found, there = class_weights("balanced", data, names, outputs), np.unique(y)
        expected = sklearn.compute_class_weight("balanced", classes=there, y=y)
        np.testing.assert_array_equal(found[there], expected.astype(np.float32))
        assert not found[np.setdiff1d(range(k), there)].any()


def test_a_class_that_is_absent_in_training_does_no_harm_to_balanced_weights():
    x, y = rare(40, 0)
    data = fcnn.data.arrays(x, 2 * y, classes=["many", "none", "few"])
    network, history = fcnn.fit(
        serial(dense(3)), data, class_weight="balanced", epochs=2, progress=False
    )
    assert np.isfinite(history["loss"]).all()
    report = fcnn.evaluate(network, data)
    assert report.per_class[1].support == 0
    figures = [
        *report.macro,
        report.balanced_accuracy,
        *(x for row in report.per_class for x in row[1:5]),
    ]
    assert np.isfinite(figures).all()
    areas = [(row.roc_auc, row.average_precision) for row in report.per_class]
    assert areas[1] == (None, None)  # of a class that is not there
    assert np.isfinite([*areas[0], *areas[2]]).all()
