"""Curves, areas and figures of probabilities against scikit-learn."""

import warnings
from functools import partial

import numpy as np
import pytest
from sklearn import metrics as sklearn

from fcnn import evaluation

from .cases import COUNTS, close, labels, present, ranked, rows_agree

AREAS = {
    "roc_auc": sklearn.roc_auc_score,
    "average_precision": sklearn.average_precision_score,
    "pr_auc": lambda truth, scores, sample_weight: sklearn.auc(
        *sklearn.precision_recall_curve(truth, scores, sample_weight=sample_weight)[1::-1]
    ),
}


def columns(area, positive, scores, weight):
    """The area of each column by scikit-learn; NaN where one side is empty."""
    weight, positive, scores = present(weight, positive, scores)
    found = [
        area(truth, column, sample_weight=weight) if 0 < truth.sum() < len(truth) else np.nan
        for truth, column in zip(positive.T, scores.T, strict=True)
    ]
    support = np.average(positive, axis=0, weights=weight)
    return np.array(found), support


def check_averages(name, targets, scores, positive, weight):
    figure = partial(getattr(evaluation, name), targets, scores, weight=weight)
    each, support = columns(AREAS[name], positive, scores, weight)
    close(figure(average=None), each)
    defined = ~np.isnan(each)
    means = [np.nan, np.nan]
    if defined.any():
        means = [each[defined].mean(), np.average(each[defined], weights=support[defined])]
    close([figure(), figure(average="weighted")], means)
    flat = None if weight is None else np.repeat(weight, scores.shape[1])
    arrays = present(flat, positive.ravel(), scores.ravel())
    if 0 < arrays[1].sum() < len(arrays[1]):
        close(figure(average="micro"), AREAS[name](*arrays[1:], sample_weight=arrays[0]))


@COUNTS
@pytest.mark.parametrize("name", AREAS)
def test_areas_of_classes_equal_scikit_learn(name, count):
    for targets, scores, k, weight in ranked(count):
        check_averages(name, targets, scores, targets[:, None] == np.arange(k), weight)


@COUNTS
@pytest.mark.parametrize("name", AREAS)
def test_areas_of_labels_equal_scikit_learn(name, count):
    for i, (targets, predictions, weight) in enumerate(labels(count)):
        scores = predictions + np.random.default_rng(i).integers(0, 4, predictions.shape)
        check_averages(name, targets, scores, targets, weight)


@COUNTS
def test_macro_and_weighted_areas_equal_those_of_whole_sets_by_scikit_learn(count):
    for targets, scores, k, weight in ranked(count):
        w, t, s = present(weight, targets, scores)
        if k < 3 or len(np.unique(t)) < k:
            continue  # there it is NaN, or wants other arguments
        for average in ("macro", "weighted"):
            close(
                evaluation.roc_auc(targets, scores, average=average, weight=weight),
                sklearn.roc_auc_score(t, s, sample_weight=w, multi_class="ovr", average=average),
            )
            close(
                evaluation.average_precision(targets, scores, average=average, weight=weight),
                sklearn.average_precision_score(t, s, sample_weight=w, average=average),
            )


@COUNTS
def test_curves_equal_scikit_learn(count):
    for targets, scores, _, weight in ranked(count):
        truth, score = targets == targets[0], scores[:, 0]
        found = evaluation.roc_curve(truth, score, weight=weight)
        precision = evaluation.precision_recall_curve(truth, score, weight=weight)
        weight, truth, score = present(weight, truth, score)
        options = {"sample_weight": weight, "drop_intermediate": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one side only: NaN
            expected = sklearn.roc_curve(truth, score, **options)
            other = sklearn.precision_recall_curve(truth, score, **options)
        for one, two in zip(found, expected, strict=True):
            close(one, two)
        close(precision.precision, other[0])
        close(precision.thresholds, other[2])
        if truth.any():  # else scikit-learn makes recall 1, and here it is NaN
            close(precision.recall, other[1])


@COUNTS
def test_log_loss_brier_and_top_k_equal_scikit_learn(count):
    for i, (targets, scores, k, weight) in enumerate(ranked(count)):
        if i % 4 == 0:
            scores = np.eye(k)[scores.argmax(1)]  # certain, and often wrong
        top = i % k + 1
        options = {"labels": range(k), "sample_weight": weight}
        close(
            evaluation.log_loss(targets, scores, weight=weight),
            sklearn.log_loss(targets, scores, **options),
        )
        close(
            evaluation.brier(targets, scores, weight=weight),
            sklearn.brier_score_loss(targets, scores, **options),
        )
        found = evaluation.top_k_accuracy(targets, scores, top, weight=weight)
        if k == 2:
            hit = scores.argmax(1) == targets
            close(found, np.average(hit | (top == 2), weights=weight))
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # top k of k
            # of equal scores it takes the last class, and here it is the first
            mirrored = k - 1 - targets, scores[:, ::-1]
            close(found, sklearn.top_k_accuracy_score(*mirrored, k=top, **options))


@COUNTS
def test_probabilities_of_one_class_are_those_of_two(count):
    for targets, scores, _, weight in ranked(count):
        truth, p = (targets > 0).astype(int), scores[:, 0]
        both = np.stack([1 - p, p], 1)
        for figure in (evaluation.log_loss, evaluation.brier):
            close(figure(truth, p, weight=weight), figure(truth, both, weight=weight))
            close(figure(truth, p[:, None], weight=weight), figure(truth, both, weight=weight))
        close(
            evaluation.brier(truth, p, weight=weight),
            np.average((truth - p) ** 2, weights=weight),
        )


@pytest.mark.parametrize("ties", [False, True])
def test_rows_of_weights_give_a_figure_each(ties):
    rng = np.random.default_rng(3)
    targets, p = rng.integers(0, 3, 25), rng.dirichlet(np.ones(3), 25)
    scores = np.round(4 * p) if ties else p
    for name in AREAS:
        for average in (None, "macro", "weighted", "micro"):
            figure = partial(getattr(evaluation, name), targets, scores, average=average)
            rows_agree(figure, 25)
    for figure in (evaluation.log_loss, evaluation.brier):
        rows_agree(partial(figure, targets, p), 25)
    rows_agree(partial(evaluation.top_k_accuracy, targets, scores, 2), 25)


def test_scores_of_minus_infinity_are_the_lowest():
    close(evaluation.roc_auc([0, 0, 1, 1], [-np.inf, -np.inf, 0.0, np.inf]), 1)
    close(evaluation.roc_auc([0, 1], [-np.inf, -np.inf]), 0.5)
    assert len(evaluation.roc_curve([0, 1, 1], [-np.inf, -np.inf, 0]).thresholds) == 3


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: evaluation.roc_auc([0, 1], [np.nan, 1]), "NaN"),
        (lambda: evaluation.roc_auc([0, 2], [0.1, 1]), "0 or 1, got 2"),
        (lambda: evaluation.roc_auc([0, 1], [0, 1], average="all"), "'all'"),
        (lambda: evaluation.roc_auc([[0, 1, 1]], [[0, 1]]), r"\(1, 3\)"),
        (lambda: evaluation.roc_curve([0, 1], [[0, 1], [0, 1]]), "against the rest"),
        (lambda: evaluation.top_k_accuracy([0], [[1, 0]], 3), "1 to the 2 classes, got 3"),
        (lambda: evaluation.log_loss([0], [[3.0, -1.0]]), "softmax"),
        (lambda: evaluation.log_loss([0], [[0.3, 0.3]]), "sum to 1, got 0.6"),
        (lambda: evaluation.brier([[1, 0]], [[1.0, 0.0]]), "argmax"),
        (lambda: evaluation.brier([0, 2], [0.5, 0.5]), "0 or 1, got 2"),
        (lambda: evaluation.brier([0, 1], [np.nan, 0.5]), "from 0 to 1, got nan"),
    ],
)
def test_what_does_not_fit_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
