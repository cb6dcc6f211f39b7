"""Tests of two networks against scipy, and thresholds and conformal sets against searches."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import binomtest, chi2

from fcnn import evaluation
from fcnn.evaluation import mcnemar, paired_bootstrap

from .cases import close


def two_networks(only_first, only_second, both=5):
    """Targets and two predictions with so many examples that one of them has right."""
    n = only_first + only_second + both
    targets = np.zeros(n, int)
    first, second = np.zeros(n, int), np.zeros(n, int)
    first[only_first : only_first + only_second] = 1
    second[:only_first] = 1
    return targets, first, second


@pytest.mark.parametrize("a", [0, 1, 7, 40, 1000])
@pytest.mark.parametrize("b", [0, 1, 8, 41, 1100])
def test_mcnemar_is_the_binomial_test_and_the_corrected_chi_squared(a, b):
    found = mcnemar(*two_networks(a, b))
    assert found[:3] == (a, b, min(a, b))
    exact = binomtest(a, a + b).pvalue if a + b else 1
    np.testing.assert_allclose(found.p_value, exact, rtol=1e-9, atol=1e-300)
    found = mcnemar(*two_networks(a, b), exact=False)
    statistic = max(abs(a - b) - 1, 0) ** 2 / max(a + b, 1)
    close(found.statistic, statistic)
    np.testing.assert_allclose(found.p_value, chi2.sf(statistic, 1), rtol=1e-9, atol=1e-300)


def test_mcnemar_of_many_thousands_is_exact_and_quick():
    found = mcnemar(*two_networks(50_500, 49_500))
    assert found.p_value == pytest.approx(binomtest(50_500, 100_000).pvalue, rel=1e-8)


def test_mcnemar_refuses_other_examples():
    with pytest.raises(ValueError, match=r"second \(3,\)"):
        mcnemar([0, 1], [0, 1], [0, 1, 1])


def test_a_paired_bootstrap_sees_a_difference_that_two_intervals_do_not():
    rng = np.random.default_rng(0)
    n = 1000
    targets = rng.integers(0, 2, n)
    second = np.where(rng.random(n) < 0.8, targets, 1 - targets)
    first = np.where(rng.random(n) < 0.08, targets, second)  # the same, and a few more are right
    figures = [partial(evaluation.accuracy, targets, each) for each in (first, second)]
    found = paired_bootstrap(*figures, n)
    close(found.value, figures[0]() - figures[1]())
    assert 0 < found.low < found.value < found.high
    assert found.p_value == 2 / 1001
    one, other = (evaluation.interval(figure, n) for figure in figures)
    assert other.high > one.low
    back = paired_bootstrap(*figures[::-1], n)
    close(back.value, -found.value)
    assert back.high < 0
    same = paired_bootstrap(figures[0], figures[0], n)
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("sets", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_difference_of_equal_networks_is_rarely_said_to_be_one(sets):
    rng, said = np.random.default_rng(0), 0
    for seed in range(sets):
        right = rng.random((2, 250)) < 0.8
        figures = [partial(evaluation.accuracy, np.ones(250, int), r.astype(int)) for r in right]
        found = paired_bootstrap(*figures, 250, resamples=400, seed=seed)
        said += found.p_value < 0.05
    assert 0.01 * sets <= said <= 0.09 * sets


def test_several_differences_at_once():
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(50, 3))
    figures = [
        partial(evaluation.mae, targets, targets + spread, per_output=True) for spread in (1, 0.5)
    ]
    found = paired_bootstrap(*figures, 50, weight=rng.random(50))
    close(found.value, np.full(3, 0.5))
    assert found.p_value.shape == found.low.shape == (3,)


def test_a_difference_that_is_not_known_is_not_called_significant():
    probabilities = np.random.default_rng(0).dirichlet([1, 1], 30)
    one_class, both = np.ones(30, int), np.r_[0, np.ones(29, int)]
    for targets, known in ((one_class, False), (both, True)):
        area = partial(evaluation.roc_auc, targets, probabilities[:, 1])
        found = paired_bootstrap(area, area, 30)
        assert found.p_value == 1 if known else np.isnan(found.p_value)


def test_mcnemar_counts_examples_and_not_the_cells_of_rows():
    rows = np.eye(2, dtype=int)[[0, 1, 1]]
    with pytest.raises(ValueError, match=r"one class for each example, \[n\], got \(3, 2\)"):
        mcnemar(rows, rows, rows[::-1])
