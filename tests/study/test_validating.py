"""Folds against scikit-learn's rules, cross-validation against a plain loop."""

import numpy as np
import pytest

import fcnn
from fcnn.study import cross_validate, folds, learning_curve

from . import parts


def run(train, seed=0):
    return parts.trained(seed, data=train)


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("k", [2, 5, 7])
def test_every_example_is_tested_once(stratify, k):
    index = np.arange(len(parts.FEW))
    data = fcnn.data.arrays(index[:, None].astype("float32"), parts.FEW.y)
    seen = []
    for train, test in folds(data, k, stratify=stratify):
        both = np.concatenate([train.x[:, 0], test.x[:, 0]])
        assert sorted(both) == list(index)
        seen += list(test.x[:, 0])
    assert sorted(seen) == list(index)


def test_stratified_folds_have_each_class_in_its_share():
    y = np.repeat([0, 1, 2], [50, 31, 7])
    data = fcnn.data.arrays(np.zeros((88, 1), "float32"), y)
    counts = np.array([np.bincount(test.y, minlength=3) for _, test in folds(data, 5)])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(1)) <= 1


def test_a_group_is_never_on_both_sides():
    numbers = np.random.default_rng(0)
    groups = numbers.integers(0, 23, 400)
    y = (groups + numbers.integers(0, 2, 400)) % 3
    data = fcnn.data.arrays(np.stack([groups, y], 1).astype("float32"), y)
    sizes = []
    for train, test in folds(data, 4, groups=groups):
        assert not set(train.x[:, 0]) & set(test.x[:, 0])
        sizes.append(len(test))
    assert sum(sizes) == 400
    assert max(sizes) < 1.6 * min(sizes)


def test_cross_validation_is_training_on_the_folds():
    found = cross_validate(run, parts.FEW, 2, seed=4)
    scores, outputs = [], np.zeros((len(parts.FEW), 10))
    for fold, ((train, test), rows) in enumerate(
        zip(folds(parts.FEW, 2, seed=4), found.rows, strict=True)
    ):
        network = parts.trained(4 + fold, data=train)
        scores.append(fcnn.evaluate(network, test).accuracy)
        outputs[rows] = fcnn.predict(network, test)
    assert found.figures["accuracy"] == pytest.approx(scores)
    assert found.mean() == pytest.approx(np.mean(scores))
    assert found.std() == pytest.approx(np.std(scores, ddof=1))
    np.testing.assert_allclose(found.outputs, outputs, rtol=1e-5)
    assert str(found).splitlines()[-2].startswith("mean")


@pytest.mark.slow
def test_numbers_are_cross_validated_too():
    def numbers(train):
        model = fcnn.serial(fcnn.flatten, fcnn.dense(1))
        return fcnn.fit(model, train, loss="squared_error", epochs=2, progress=False)

    data = fcnn.data.arrays(parts.FEW.x, parts.FEW.x.mean((1, 2)).astype("float32"))
    assert 0 < cross_validate(numbers, data, 2).mean("mse") < 10


def test_a_learning_curve_rises_with_the_examples():
    curve = learning_curve(run, parts.FEW, parts.HELD, sizes=(20, 0.5), repeats=2)
    assert curve.sizes.tolist() == [20, 150]
    means = curve.values.mean(1)
    assert means[0] < means[-1]
    assert curve.values.shape == (2, 2)
    assert "mean accuracy" in str(curve)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: list(folds(parts.FEW, 1)), "k must be a whole number"),
        (lambda: list(folds(parts.FEW.take([0, 1]), 3)), "2 examples cannot be 3 folds"),
        (lambda: list(folds(parts.FEW, 3, groups=[0] * 300)), "1 groups cannot be 3 folds"),
        (lambda: list(folds(parts.FEW, 3, groups=[0, 1, 2])), "one for each of 300"),
        (lambda: learning_curve(run, parts.FEW, parts.HELD, repeats=0), "repeats must be"),
        (lambda: learning_curve(run, parts.FEW, parts.HELD, [0]), "a part of 0 is 0 of 300"),
        (lambda: learning_curve(run, parts.FEW, parts.HELD, [20], figure="depth"), "no figure"),
        (
            lambda: cross_validate(lambda train: parts.begun(), parts.FEW).mean("depth"),
            "no figure is called 'depth'",
        ),
    ],
)
def test_bad_arguments_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_run_that_returns_no_network_is_refused():
    with pytest.raises(TypeError, match="run must return a Network"):
        cross_validate(lambda train: 3, parts.FEW, 3)
