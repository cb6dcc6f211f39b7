"""Conformal sets: they hold the truth as often as was asked for, whatever the probabilities."""

import numpy as np
import pytest

from fcnn.evaluation import conformal_threshold, prediction_sets, set_coverage, set_size

METHODS = [("lac", None), ("aps", None), ("aps", 1)]


def drawn(rng, n, k=6, wrong=2.5):
    """Classes and probabilities that are far too sure of themselves."""
    p = rng.dirichlet(np.full(k, 0.5), n)
    targets = (p.cumsum(1) < rng.random((n, 1))).sum(1)
    p = p**wrong
    return np.minimum(targets, k - 1), p / p.sum(1, keepdims=True)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize(("method", "seed"), METHODS)
@pytest.mark.parametrize("trials", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_sets_hold_the_truth_as_often_as_was_asked_for(method, seed, coverage, trials):
    """Over calibration sets and new examples: from coverage to coverage + 1 / (n + 1)."""
    rng, n, new, held = np.random.default_rng(0), 99, 200, []
    for trial in range(trials):
        targets, p = drawn(rng, n + new)
        seeds = (None, None) if seed is None else (trial, trial + 10_000)
        threshold = conformal_threshold(
            targets[:n], p[:n], coverage=coverage, method=method, seed=seeds[0]
        )
        sets = prediction_sets(p[n:], threshold, method=method, seed=seeds[1])
        held.append(set_coverage(targets[n:], sets))
    error = 4 * np.std(held) / np.sqrt(trials)
    assert np.mean(held) > coverage - error
    if (method, seed) != ("aps", None):
        assert np.mean(held) < coverage + 0.01 + error


def test_one_large_set_of_90_percent_covers_close_to_90_percent():
    rng = np.random.default_rng(0)
    targets, p = drawn(rng, 10_000)
    sizes = []
    for method, seed in METHODS:
        options = {"method": method, "seed": seed}
        threshold = conformal_threshold(targets[:5000], p[:5000], **options)
        sets = prediction_sets(p[5000:], threshold, **options)
        assert 0.88 <= set_coverage(targets[5000:], sets) <= 0.93
        sizes.append(set_size(sets))
    assert sizes[0] == min(sizes)  # lac


def test_the_threshold_is_the_quantile_of_n_plus_one_examples():
    p = np.array([[x, 1 - x] for x in np.arange(1, 20) / 20])
    targets = np.zeros(19, int)
    # of 19 examples, 90 % of 20 is the 18th smallest of the distances 1 - p
    assert conformal_threshold(targets, p, coverage=0.9) == pytest.approx(0.9)
    assert conformal_threshold(targets, p, coverage=0.95) == pytest.approx(0.95)
    sets = prediction_sets(p, conformal_threshold(targets, p, coverage=0.9))
    assert set_coverage(targets, sets) == pytest.approx(18 / 19)


def test_aps_adds_the_likeliest_classes_up_to_the_threshold():
    p = np.array([[0.1, 0.6, 0.3], [0.8, 0.15, 0.05]])
    np.testing.assert_array_equal(prediction_sets(p, 0.96, method="aps"), [[0, 1, 1], [1, 1, 0]])


def test_all_classes_of_aps_add_up_to_one_whatever_rounding_made_of_them():
    p = np.random.default_rng(0).dirichlet(np.full(10, 0.3), 500).astype(np.float32)
    assert (p.astype(np.float64).sum(1) > 1).any()
    assert prediction_sets(p, 1.0, method="aps").all()


def test_coverage_and_size_are_weighted_means():
    sets = np.array([[True, False], [True, True], [False, False]])
    weight = [1, 2, 5]
    assert set_coverage([0, 1, 1], sets, weight=weight) == pytest.approx(3 / 8)
    assert set_size(sets, weight=weight) == pytest.approx(5 / 8)


def test_probabilities_of_one_class_are_those_of_two():
    p = np.linspace(0.05, 0.95, 40)
    targets = (np.arange(40) % 3 > 0).astype(int)
    both = np.stack([1 - p, p], 1)
    threshold = conformal_threshold(targets, p)
    assert threshold == conformal_threshold(targets, both)
    np.testing.assert_array_equal(prediction_sets(p, threshold), prediction_sets(both, threshold))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"coverage": 90}, "between 0 and 1, such as 0.9, got 90"),
        ({"coverage": 0.99}, "needs 99 examples or more, got 20"),
        ({"method": "raps"}, "'lac' or 'aps', got 'raps'"),
        ({"seed": 0}, "nothing random"),
    ],
)
def test_what_cannot_be_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        conformal_threshold(np.arange(20) % 2, np.full((20, 2), 0.5), **options)


def test_what_are_no_sets_is_refused():
    with pytest.raises(ValueError, match=r"sets are \[n, k\]"):
        set_coverage([0, 1], [True, False])
    with pytest.raises(ValueError, match="sets must be 0 or 1"):
        set_size([[0.3, 0.7]])


def test_no_examples_have_no_sets():
    assert prediction_sets(np.zeros((0, 3)), 0.5).shape == (0, 3)
