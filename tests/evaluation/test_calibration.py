"""Calibration against definitions worked in loops, and temperature against a search."""

from functools import partial

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from fcnn import evaluation

from .cases import COUNTS, close, generators, present, ranked, rows_agree, weights


def by_hand(targets, probabilities, edges, weight):
    """Share, confidence and accuracy of each bin that is not empty, one example at a time."""
    bins = {}
    weight = np.ones(len(targets)) if weight is None else weight
    for target, p, w in zip(targets, probabilities, weight, strict=True):
        c = max(p)
        index = next(i for i in range(len(edges) - 1) if c <= edges[i + 1])
        bins.setdefault(index, []).append((w, c, float(np.argmax(p) == target)))
    rows = []
    for index in sorted(bins):
        w, c, right = np.array(bins[index]).T
        if w.sum() > 0:
            rows.append((w.sum(), np.average(c, weights=w), np.average(right, weights=w)))
    return np.array(rows)


@COUNTS
def test_bins_of_equal_width_are_those_worked_by_hand(count):
    for i, (targets, p, _, weight) in enumerate(ranked(count)):
        bins = i % 12 + 1
        rows = by_hand(targets, p, np.linspace(0, 1, bins + 1), weight)
        options = {"bins": bins, "weight": weight}
        curve = evaluation.reliability_curve(targets, p, **options)
        held = curve.weight > 0
        close(np.stack([curve.weight, curve.confidence, curve.accuracy], 1)[held], rows)
        assert np.isnan(curve.accuracy[~held]).all()
        gaps = np.abs(rows[:, 1] - rows[:, 2])
        expected = np.average(gaps, weights=rows[:, 0])
        close(evaluation.expected_calibration_error(targets, p, **options), expected)
        close(evaluation.maximum_calibration_error(targets, p, **options), gaps.max())


@COUNTS
def test_bins_of_one_class_are_those_of_scikit_learn(count):
    for targets, scores, _, _ in ranked(count):
        truth, p = (targets > 0).astype(int), scores[:, 0]
        if len(set(truth)) < 2:
            continue
        curve = evaluation.reliability_curve(truth, p, bins=7)
        held = curve.weight > 0
        right, confident = calibration_curve(truth, p, n_bins=7)
        close(curve.accuracy[held], right)
        close(curve.confidence[held], confident)


def test_adaptive_bins_are_of_equal_weight_and_do_not_part_equal_confidences():
    rng = np.random.default_rng(0)
    p = rng.random(60)
    curve = evaluation.reliability_curve(p > 0.5, p, bins=6, adaptive=True)
    close(curve.weight, np.full(6, 10))
    falling = np.sort(p).reshape(6, 10)
    close(curve.confidence, falling.mean(1))
    weight = np.where(p < np.median(p), 1, 3)  # the upper half weighs three times as much
    curve = evaluation.reliability_curve(p > 0.5, p, bins=4, adaptive=True, weight=weight)
    close(curve.weight, np.full(4, 30))
    tied = np.repeat([0.2, 0.9], 5)
    curve = evaluation.reliability_curve(tied > 0.5, tied, bins=4, adaptive=True)
    close(np.sort(curve.weight), [0, 0, 5, 5])
    error = evaluation.expected_calibration_error(tied > 0.5, tied, bins=4, adaptive=True)
    close(error, 0.15)


@pytest.mark.parametrize("adaptive", [False, True])
def test_rows_of_weights_give_a_figure_each(adaptive):
    rng = np.random.default_rng(0)
    targets, p = rng.integers(0, 3, 40), rng.dirichlet(np.ones(3), 40)
    for figure in (evaluation.expected_calibration_error, evaluation.maximum_calibration_error):
        rows_agree(partial(figure, targets, p, bins=5, adaptive=adaptive), 40)


def test_probabilities_that_are_true_have_little_error_and_extreme_ones_much():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 20_000)
    targets = (p.cumsum(1) < rng.random((20_000, 1))).sum(1)
    assert evaluation.expected_calibration_error(targets, p) < 0.015
    sharper = p**3 / (p**3).sum(1, keepdims=True)
    assert evaluation.expected_calibration_error(targets, sharper) > 0.1


@COUNTS
def test_the_temperature_is_the_one_of_least_loss(count):
    tried = 0
    for rng, i in generators(count):
        n, k = int(rng.integers(20, 200)), int(rng.integers(2, 6))
        targets = rng.integers(0, k, n)
        scale = 10 ** rng.uniform(-2, 2)
        logits = scale * (rng.normal(size=(n, k)) + 1.5 * np.eye(k)[targets])
        weight = weights(rng, i, n)
        w, t, z = present(weight, targets, logits)
        if (z.argmax(1) == t).all():
            continue
        found = evaluation.temperature(targets, logits, weight=weight)

        def loss(u, w=w, t=t, z=z):
            own = log_softmax(z / np.exp(u), axis=1)[np.arange(len(t)), t]
            return -np.average(own, weights=w)

        start = np.log(found)
        best = minimize_scalar(loss, bracket=(start - 1, start + 1.3), method="golden", tol=1e-10)
        assert best.x == pytest.approx(start, abs=1e-5)  # a search sees no more of a minimum
        assert loss(start) <= best.fun + 1e-14
        slope = (softmax(z / found, 1) * z).sum(1) - z[np.arange(len(t)), t]
        assert abs(np.average(slope, weights=w)) < 1e-9 * scale  # there the slope is 0
        tried += 1
    assert tried > count / 2


def test_the_temperature_of_a_sigmoid_is_that_of_its_two_classes():
    rng = np.random.default_rng(0)
    logits = 5 * rng.normal(size=(300, 3))
    labels = (rng.random((300, 3)) < expit(logits / 4)).astype(int)
    found = evaluation.temperature(labels, logits)
    assert 3 < found < 5

    def loss(u):
        z = logits / np.exp(u)
        return -np.where(labels == 1, log_expit(z), log_expit(-z)).mean()

    assert np.log(found) == pytest.approx(minimize_scalar(loss, bracket=(0, 2)).x, abs=1e-5)
    flat = np.stack([np.zeros(900), logits.ravel()], 1)
    close(evaluation.temperature(labels.ravel(), flat), found)
    close(
        evaluation.temperature(labels[:, 0], logits[:, 0]),
        evaluation.temperature(labels[:, :1], logits[:, :1]),
    )


def test_a_temperature_mends_probabilities_and_keeps_the_classes():
    rng = np.random.default_rng(1)
    z = 2 * rng.normal(size=(8000, 5))
    targets = (softmax(z, 1).cumsum(1) < rng.random((8000, 1))).sum(1)
    logits = 3 * z  # overconfident
    found = evaluation.temperature(targets[:4000], logits[:4000])
    assert found == pytest.approx(3, rel=0.1)
    before, after = (softmax(logits[4000:] / t, 1) for t in (1, found))
    error = partial(evaluation.expected_calibration_error, targets[4000:])
    assert error(after) < error(before) / 4
    assert log_loss(targets[4000:], after) < log_loss(targets[4000:], before)
    assert (before.argmax(1) == after.argmax(1)).all()


def test_where_no_temperature_is_best_it_says_so():
    with pytest.raises(ValueError, match="all 2 examples are classified right"):
        evaluation.temperature([0, 1], [[2.0, 1.0], [0.0, 3.0]])
    with pytest.raises(ValueError, match="learned nothing"):
        evaluation.temperature([1, 0], [[2.0, 1.0], [0.0, 3.0]])
    with pytest.raises(ValueError, match="finite"):
        evaluation.temperature([1, 0], [[2.0, np.inf], [0.0, 3.0]])
    with pytest.raises(ValueError, match=r"logits \(2,\) and targets \(2, 2\)"):
        evaluation.temperature([[2.0, 1.0], [0.0, 3.0]], [0, 1])
    with pytest.raises(ValueError, match="bins"):
        evaluation.expected_calibration_error([0], [0.5], bins=0)
