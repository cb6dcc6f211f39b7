"""Figures of numbers against scikit-learn, on random and on degenerate cases."""

from functools import partial

import numpy as np
import pytest
from sklearn import metrics as sklearn

from fcnn import evaluation

from .cases import COUNTS, close, numbers, present, rows_agree

FIGURES = {
    "mse": sklearn.mean_squared_error,
    "rmse": sklearn.root_mean_squared_error,
    "mae": sklearn.mean_absolute_error,
    "mape": sklearn.mean_absolute_percentage_error,
    "r2": sklearn.r2_score,
    "explained_variance": sklearn.explained_variance_score,
    "median_absolute_error": sklearn.median_absolute_error,
}


@COUNTS
@pytest.mark.parametrize("name", FIGURES)
def test_figures_equal_scikit_learn(name, count):
    for targets, predictions, weight in numbers(count):
        figure = partial(getattr(evaluation, name), targets, predictions, weight=weight)
        one, each = figure(), figure(per_output=True)
        weight, targets, predictions = present(weight, targets, predictions)
        if len(targets) < 2:
            continue  # r2 is NaN there
        oracle = partial(FIGURES[name], targets, predictions, sample_weight=weight)
        np.testing.assert_allclose(one, oracle(), rtol=1e-12, atol=1e-12)
        close(each, oracle(multioutput="raw_values"))


@COUNTS
def test_the_largest_error_equals_scikit_learn(count):
    for targets, predictions, weight in numbers(count):
        found = evaluation.max_error(targets, predictions, per_output=True, weight=weight)
        _, targets, predictions = present(weight, targets, predictions)
        pairs = zip(np.atleast_2d(targets.T), np.atleast_2d(predictions.T), strict=True)
        close(found, [sklearn.max_error(*pair) for pair in pairs])


def test_rows_of_weights_give_a_figure_each():
    targets, predictions = np.random.default_rng(0).normal(size=(2, 20, 2))
    for name in (*FIGURES, "max_error"):
        for per_output in (False, True):
            figure = getattr(evaluation, name)
            rows_agree(partial(figure, targets, predictions, per_output=per_output), 20)


def test_a_constant_has_no_variance_whatever_its_digits():
    targets = np.full(7, 0.1)
    assert evaluation.r2(targets, targets) == 1
    assert evaluation.r2(targets, targets + 1) == 0
    assert evaluation.explained_variance(targets, targets + 1) == 1
    two = np.array([0.1, 0.1, 7.3, 7.3, 7.3])  # each row of weights sees one value
    close(evaluation.r2(two, two + 1, weight=[[1, 2, 0, 0, 0], [0, 0, 0.3, 0.1, 0.7]]), [0, 0])


def test_infinite_predictions_have_infinite_errors():
    targets, predictions = [0.0, 1.0], [np.inf, 1.0]
    assert evaluation.mse(targets, predictions) == np.inf
    assert evaluation.r2(targets, predictions) == -np.inf
    assert np.isnan(evaluation.explained_variance(targets, predictions))


def test_shapes_are_never_broadcast():
    with pytest.raises(ValueError, match=r"targets \(3,\) and predictions \(3, 1\)"):
        evaluation.mse(np.zeros(3), np.zeros((3, 1)))


def test_an_error_that_is_not_known_of_constant_targets_explains_nothing():
    assert np.isnan(evaluation.r2([2, 2], [2, np.nan]))
    assert np.isnan(evaluation.explained_variance([2, 2], [2, np.nan]))
