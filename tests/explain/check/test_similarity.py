from itertools import product

import numpy as np
import pytest

from fcnn.explain.check.similarity import rank_correlation, ssim

RNG = np.random.default_rng(0)


def test_rank_correlation_equals_that_of_scipy_with_ties():
    stats = pytest.importorskip("scipy.stats")
    a, b = RNG.integers(0, 12, (2, 20, 6, 7))
    truth = [stats.spearmanr(p.flat, q.flat).statistic for p, q in zip(a, b, strict=True)]
    np.testing.assert_allclose(rank_correlation(a, b), truth, atol=1e-12)


def test_rank_correlation_of_a_map_with_itself_is_one_and_with_a_constant_nothing():
    a = RNG.normal(size=(3, 5, 5))
    np.testing.assert_allclose(rank_correlation(a, np.exp(a)), 1)
    np.testing.assert_allclose(rank_correlation(a, -a), -1)
    np.testing.assert_array_equal(rank_correlation(a, np.ones_like(a)), 0)


def test_two_constant_maps_are_alike():
    np.testing.assert_array_equal(rank_correlation(np.zeros((3, 5, 5)), np.ones((3, 5, 5))), 1)


def by_hand(a, b, window):
    """The formula, window by window, with unbiased variances as in scikit-image."""
    values = []
    for i, j in product(*(range(side - window + 1) for side in a.shape)):
        p, q = (m[i : i + window, j : j + window].ravel() for m in (a, b))
        (pp, pq), (_, qq) = np.cov(p, q)
        top = (2 * p.mean() * q.mean() + 1e-4) * (2 * pq + 9e-4)
        values.append(top / ((p.mean() ** 2 + q.mean() ** 2 + 1e-4) * (pp + qq + 9e-4)))
    return np.mean(values)


def test_ssim_equals_the_formula_window_by_window():
    a, b = RNG.uniform(size=(2, 4, 9, 11))
    truth = [by_hand(p, q, 7) for p, q in zip(a, b, strict=True)]
    np.testing.assert_allclose(ssim(a, b), truth, atol=1e-12)
    np.testing.assert_allclose(ssim(a, a), 1)


def test_ssim_of_maps_smaller_than_a_window_or_of_another_rank_is_a_number():
    assert ssim(*RNG.uniform(size=(2, 3, 4, 5))).shape == (3,)
    assert ssim(*RNG.uniform(size=(2, 3, 9))).shape == (3,)
    assert ssim(*RNG.uniform(size=(2, 3, 8, 8, 8))).shape == (3,)
