"""Figures of classes and labels against scikit-learn, on random and on degenerate cases."""

import warnings
from functools import partial

import numpy as np
import pytest
from sklearn import metrics as sklearn

from fcnn import evaluation
from fcnn.evaluation import confusion

from .cases import COUNTS, classes, close, labels, present, rows_agree

FIGURES = {
    "accuracy": sklearn.accuracy_score,
    "balanced_accuracy": sklearn.balanced_accuracy_score,
    "matthews": sklearn.matthews_corrcoef,
    "kappa": sklearn.cohen_kappa_score,
}
AVERAGES = [None, "macro", "weighted", "micro"]


@COUNTS
@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_classes_equal_scikit_learn(name, count):
    for targets, predictions, _, weight in classes(count):
        found = getattr(evaluation, name)(targets, predictions, weight=weight)
        weight, targets, predictions = present(weight, targets, predictions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # one class only, or not in the truth
            expected = FIGURES[name](targets, predictions, sample_weight=weight)
        close(found, np.nan_to_num(expected))  # a kappa that is undefined is 0
        assert isinstance(found, float)


@COUNTS
def test_the_confusion_matrix_equals_scikit_learn(count):
    for targets, predictions, k, weight in classes(count):
        found = evaluation.confusion_matrix(targets, predictions, classes=k, weight=weight)
        options = {"labels": range(k), "sample_weight": weight}
        close(found, sklearn.confusion_matrix(targets, predictions, **options))
        assert (found.dtype == np.int64) == (weight is None)


@COUNTS
@pytest.mark.parametrize("average", AVERAGES)
def test_precision_recall_f_and_iou_equal_scikit_learn(average, count):
    for i, (targets, predictions, k, weight) in enumerate(classes(count)):
        beta = (0, 0.5, 1, 2, np.inf)[i % 5]
        options = {"average": average, "zero_division": 0}
        if average is None:
            options["labels"] = range(k)
        given = {"average": average, "classes": k, "weight": weight}
        scores = evaluation.precision_recall_f1(targets, predictions, **given)
        f = evaluation.f_beta(targets, predictions, beta, **given)
        iou = evaluation.iou(targets, predictions, **given)
        dice = evaluation.dice(targets, predictions, **given)
        weight, targets, predictions = present(weight, targets, predictions)
        oracle = {**options, "sample_weight": weight}
        expected = sklearn.precision_recall_fscore_support(targets, predictions, **oracle)
        for one, other in zip(scores, expected[:3], strict=True):
            close(one, other)
        close(dice, expected[2])
        close(f, sklearn.fbeta_score(targets, predictions, beta=beta, **oracle))
        close(iou, sklearn.jaccard_score(targets, predictions, **oracle))


@COUNTS
@pytest.mark.parametrize("average", [*AVERAGES, "samples"])
def test_figures_of_labels_equal_scikit_learn(average, count):
    for targets, predictions, weight in labels(count):
        given = {"average": average, "multilabel": True, "weight": weight}
        scores = evaluation.precision_recall_f1(targets, predictions, **given)
        f = evaluation.f_beta(targets, predictions, 2, **given)
        iou = evaluation.jaccard(targets, predictions, average=average, weight=weight)
        wrong = evaluation.hamming_loss(targets, predictions, weight=weight)
        right = evaluation.subset_accuracy(targets, predictions, weight=weight)
        weight, targets, predictions = present(weight, targets, predictions)
        close(wrong, sklearn.hamming_loss(targets, predictions, sample_weight=weight))
        close(right, sklearn.accuracy_score(targets, predictions, sample_weight=weight))
        oracle = {"average": average, "zero_division": 0, "sample_weight": weight}
        expected = sklearn.precision_recall_fscore_support(targets, predictions, **oracle)
        for one, other in zip(scores, expected[:3], strict=True):
            close(one, other)
        close(f, sklearn.fbeta_score(targets, predictions, beta=2, **oracle))
        close(iou, sklearn.jaccard_score(targets, predictions, **oracle))


@pytest.mark.parametrize("average", AVERAGES)
def test_rows_of_weights_give_a_figure_each(average):
    rng = np.random.default_rng(0)
    targets, predictions = rng.integers(0, 4, (2, 30))
    figures = [getattr(evaluation, name) for name in FIGURES]
    figures += [partial(evaluation.iou, average=average, classes=5)]
    figures += [partial(evaluation.f_beta, beta=2, average=average, classes=5)]
    for figure in figures:
        rows_agree(partial(figure, targets, predictions), 30)
    mask, found = rng.integers(0, 3, (2, 10, 4, 5))
    rows_agree(partial(evaluation.iou, mask, found, average=average), 10)
    some, said = rng.integers(0, 2, (2, 20, 3))
    rows_agree(partial(evaluation.jaccard, some, said, average=average), 20)
    rows_agree(partial(evaluation.hamming_loss, some, said), 20)


def test_masks_are_the_pixels_of_all_examples_together():
    rng = np.random.default_rng(1)
    mask, found = rng.integers(0, 3, (2, 6, 4, 5))
    weight = rng.random(6)
    pixels = np.repeat(weight, 20)
    close(
        evaluation.iou(mask, found, average=None, weight=weight),
        evaluation.iou(mask.ravel(), found.ravel(), average=None, weight=pixels),
    )
    close(
        evaluation.accuracy(mask, found, weight=weight),
        np.average((mask == found).ravel(), weights=pixels),
    )
    close(evaluation.dice([[[0, 1]]], [[[1, 1]]], average=None), [0, 2 / 3])


def test_an_example_of_weight_zero_is_as_if_absent_whatever_it_holds():
    weight = [1, 2, 0, 0]
    one = evaluation.confusion_matrix([0, 1, -7, 99], [1, 1, 0, 0], weight=weight)
    close(one, [[0, 1], [0, 2]])


def test_matthews_and_kappa_are_exactly_zero_where_one_side_is_constant():
    for targets, predictions in (([0, 0], [0, 0]), ([0, 1], [0, 0]), ([1, 1], [0, 1])):
        for weight in (None, [0.1, 0.7]):
            assert evaluation.matthews(targets, predictions, weight=weight) == 0
            assert evaluation.kappa(targets, predictions, weight=weight) == pytest.approx(
                0, abs=1e-15
            )


def test_figures_of_billions_of_examples_do_not_overflow():
    counts = np.array([[5 * 10**9, 10], [10, 10]])
    assert confusion.matthews(counts) == pytest.approx(0.5)
    assert confusion.kappa(counts) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("targets", "predictions", "options", "says"),
    [
        ([0, 1], [0, 1, 1], {}, r"targets \(2,\) and predictions \(3,\)"),
        ([0, 1], [[0], [1]], {}, "one shape"),
        ([], [], {}, "no example"),
        ([0, 1], [0, 1], {"weight": [0, 0]}, "no example"),
        ([0, 1], [0, 1], {"weight": [1, -1]}, "at least 0"),
        ([0, 1], [0, 1], {"weight": [1, np.nan]}, "finite"),
        ([0, 1], [0, 1], {"weight": [1]}, r"weight \(1,\)"),
        ([0, -1], [0, 1], {}, "class -1"),
    ],
)
def test_what_does_not_fit_is_refused(targets, predictions, options, says):
    targets, predictions = np.array(targets, int), np.array(predictions, int)
    with pytest.raises(ValueError, match=says):
        evaluation.accuracy(targets, predictions, **options)


def test_what_has_no_meaning_is_refused():
    with pytest.raises(TypeError, match="argmax"):
        evaluation.accuracy([0, 1], [0.2, 0.7])
    with pytest.raises(ValueError, match="class 3, but there are 2"):
        evaluation.precision_recall_f1([0, 1], [0, 3], classes=2)
    with pytest.raises(ValueError, match="'samples' is for several labels"):
        evaluation.f_beta([0, 1], [0, 1], 1, average="samples")
    with pytest.raises(ValueError, match="got -1"):
        evaluation.f_beta([0, 1], [0, 1], -1)
    with pytest.raises(ValueError, match=r"0 or 1, got 0\.5"):
        evaluation.hamming_loss([[0, 1]], [[0.5, 1]])
    with pytest.raises(ValueError, match=r"\[n, k\], got \(2,\)"):
        evaluation.jaccard([0, 1], [0, 1])


def test_all_right_is_1_however_weights_are_summed():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        targets, weight = rng.integers(0, 30, 100), rng.random(100) + 0.1
        assert evaluation.accuracy(targets, targets, weight=weight) == 1


@pytest.mark.parametrize("classes", [0, -3, 2.0])
def test_a_number_of_classes_that_is_none_is_refused(classes):
    with pytest.raises(ValueError, match="classes must be a positive integer"):
        evaluation.confusion_matrix([0, 1], [0, 1], classes=classes)


def test_names_are_no_classes():
    with pytest.raises(TypeError, match="targets must be integers"):
        evaluation.accuracy(["cat", "dog"], ["cat", "cat"])
