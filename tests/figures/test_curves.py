"""Curves against scikit-learn's, for two classes and for many."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from fcnn.evaluation import classification_report, label_report
from fcnn.figures import precision_recall, predictions, reliability, roc

from .parts import made

figures = pytest.importorskip("matplotlib.figure")


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_of_two_classes_the_second_is_to_be_found():
    report = made(2, sharpness=1.0)
    truth, score = report.targets, report.probabilities[:, 1]
    figure = roc(report)
    chance, curve = figure.axes[0].lines
    false, true, _ = sklearn.roc_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(curve.get_xdata(), false)
    np.testing.assert_allclose(curve.get_ydata(), true)
    assert list(chance.get_xdata()) == list(chance.get_ydata()) == [0, 1]
    assert legend(figure) == [f"{sklearn.roc_auc_score(truth, score):.3f}  class 1"]


def test_precision_is_drawn_in_steps_above_the_share_of_the_class():
    report = made(2, sharpness=1.0)
    truth, score = report.targets, report.probabilities[:, 1]
    figure = precision_recall(report)
    chance, curve = figure.axes[0].lines
    precision, recall, _ = sklearn.precision_recall_curve(truth, score)
    np.testing.assert_allclose(curve.get_xdata(), recall[::-1])
    np.testing.assert_allclose(curve.get_ydata(), precision[::-1])
    area = np.sum(np.diff(curve.get_xdata()) * curve.get_ydata()[1:])  # below steps-pre
    assert curve.get_drawstyle() == "steps-pre"
    assert area == pytest.approx(sklearn.average_precision_score(truth, score))
    assert chance.get_ydata()[0] == pytest.approx(truth.mean())


@pytest.mark.parametrize("draw", [roc, precision_recall])
def test_few_classes_have_a_curve_each_and_many_their_mean_and_the_worst(draw):
    few = draw(made(5))
    assert len(legend(few)) == 5
    areas = [float(label.split()[0]) for label in legend(few)]
    assert areas == sorted(areas)
    assert np.mean(areas) == pytest.approx(
        float(few.axes[0].get_title().split()[-4][:-1]), abs=1e-3
    )
    many = draw(made(100, 1000))
    mean, *worst = legend(many)
    assert mean.endswith("mean of 100")
    assert len(worst) == 3
    assert float(worst[0].split()[0]) < float(mean.split()[0])
    assert len(many.axes[0].lines) == 100 + 1 + (draw is roc)


def test_the_mean_curve_has_the_mean_area():
    figure = roc(made(20, 2000, sharpness=1.5))
    black = next(line for line in figure.axes[0].lines if line.get_color() == "black")
    area = np.trapezoid(black.get_ydata(), black.get_xdata())
    assert area == pytest.approx(float(legend(figure)[0].split()[0]), abs=2e-3)
    figure = precision_recall(made(20, 2000, sharpness=1.5))
    black = next(line for line in figure.axes[0].lines if line.get_color() == "black")
    assert np.mean(black.get_ydata()) == pytest.approx(
        float(legend(figure)[0].split()[0]), abs=5e-3
    )


def test_a_class_that_is_not_there_has_no_curve():
    probabilities = np.full([6, 4], 0.25)
    report = classification_report(
        [0, 1, 2] * 2, [0] * 6, probabilities=probabilities, classes="abcd"
    )
    assert legend(roc(report)) == ["0.500  a", "0.500  b", "0.500  c"]


def test_labels_have_a_curve_each():
    truth = np.array([[1, 0], [1, 1], [0, 1], [0, 0]])
    sure = np.array([[0.9, 0.2], [0.8, 0.7], [0.3, 0.4], [0.2, 0.6]])
    report = label_report(truth, sure > 0.5, probabilities=sure, classes=["indoor", "night"])
    assert legend(roc(report)) == ["0.750  night", "1.000  indoor"]


def test_reliability_shows_what_was_right_in_each_bin():
    sure = np.repeat([0.95, 0.62], [20, 10])
    right = np.r_[np.arange(20) < 15, np.arange(10) < 5]
    targets = np.where(right, 0, 1)
    probabilities = np.stack([sure, 1 - sure], 1)
    report = classification_report(
        targets, np.zeros(30, int), probabilities=probabilities, classes="ab"
    )
    figure = reliability(report)
    _, points = figure.axes[0].lines
    np.testing.assert_allclose(points.get_xdata(), [0.62, 0.95])
    np.testing.assert_allclose(points.get_ydata(), [0.5, 0.75])
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert len(heights) == 15
    assert heights[9] == pytest.approx(1 / 3)
    assert heights[14] == pytest.approx(2 / 3)
    error = (20 * 0.2 + 10 * 0.12) / 30
    assert figure.axes[0].get_title() == f"calibration error {error:.2%}, n = 30"
    low, high = figure.axes[0].collections[0].get_segments()[1][:, 1]
    assert (low, high) == (pytest.approx(0.531, abs=1e-3), pytest.approx(0.888, abs=1e-3))


@pytest.mark.parametrize("draw", [roc, precision_recall, reliability])
def test_axes_that_are_given_are_used(draw):
    ax = figures.Figure().add_subplot()
    assert draw(made(names=["_", "$a", "b", "c"]), ax=ax) is ax.figure
    ax.figure.canvas.draw()


@pytest.mark.parametrize("draw", [roc, precision_recall, reliability])
def test_a_report_without_probabilities_has_no_curves(draw):
    with pytest.raises(ValueError, match="no probabilities"):
        draw(classification_report([0, 1], [0, 1], classes="ab"))


@pytest.mark.parametrize("draw", [roc, precision_recall])
def test_one_class_alone_has_no_curves(draw):
    report = classification_report(
        [1, 1], [0, 1], probabilities=[[0.9, 0.1], [0.2, 0.8]], classes="ab"
    )
    with pytest.raises(ValueError, match="of one class"):
        draw(report)


def test_numbers_are_points_around_the_diagonal():
    class Report:
        targets = np.random.default_rng(0).normal(size=(20, 2))
        outputs = targets + 0.1
        n, r2, rmse = 20, 0.5, 0.1

    figure = predictions(Report())
    *points, diagonal = figure.axes[0].lines
    np.testing.assert_array_equal([line.get_xdata() for line in points], Report.targets.T)
    np.testing.assert_array_equal([line.get_ydata() for line in points], Report.outputs.T)
    assert diagonal.get_slope() == 1
    assert legend(figure) == ["output 0", "output 1"]


def test_a_report_on_labels_draws_the_precision_of_each():
    p = np.array([[0.9, 0.2], [0.8, 0.7], [0.3, 0.4], [0.2, 0.6]])
    report = label_report([[1, 0], [1, 1], [0, 1], [0, 0]], p > 0.5, probabilities=p, classes="ab")
    assert legend(report.plot()) == legend(precision_recall(report))
