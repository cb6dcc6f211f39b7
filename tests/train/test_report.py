"""Reports against scikit-learn, on random and on degenerate cases."""

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from fcnn.train.report import Report, classification_report

from ..test_tables import Page


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@st.composite
def predictions(draw):
    """Truth, prediction, number of classes and weights; classes may be absent, or only one."""
    k, n = draw(st.integers(1, 6)), draw(st.integers(1, 30))
    classes = st.lists(st.integers(0, k - 1), min_size=n, max_size=n)
    weight = st.lists(st.sampled_from([0.25, 1.0, 3.7]), min_size=n, max_size=n)
    return draw(classes), draw(classes), k, draw(st.none() | weight)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(predictions())
def test_figures_equal_scikit_learn(case):
    truth, said, k, weight = case
    report = classification_report(truth, said, classes=range(k), weight=weight)
    options = {"sample_weight": weight}
    close(report.accuracy, sklearn.accuracy_score(truth, said, **options))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one class only, or predicted and not there
        close(report.matthews, sklearn.matthews_corrcoef(truth, said, **options))
        kappa = sklearn.cohen_kappa_score(truth, said, **options)  # NaN where it is undefined
        close(report.kappa, np.nan_to_num(kappa))
        close(report.confusion, sklearn.confusion_matrix(truth, said, labels=range(k), **options))
        close(report.balanced_accuracy, sklearn.balanced_accuracy_score(truth, said, **options))

    def scores(average, **more):
        return sklearn.precision_recall_fscore_support(
            truth, said, average=average, zero_division=0, **options, **more
        )

    close([report.precision, report.recall, report.f1], scores("macro")[:3])
    close(report.weighted, scores("weighted")[:3])
    close([row[1:] for row in report.per_class], np.transpose(scores(None, labels=range(k))))


@pytest.mark.parametrize(("truth", "said"), [([0, 0], [0, 0]), ([0, 1], [0, 0]), ([1, 1], [0, 1])])
@pytest.mark.parametrize("weight", [None, [0.1, 0.7]])
def test_correlations_are_exactly_zero_where_one_side_is_constant(truth, said, weight):
    report = classification_report(truth, said, classes=range(30), weight=weight)
    assert (report.matthews, report.kappa) == (0, pytest.approx(0, abs=1e-15))


def test_correlations_are_those_worked_by_hand():
    perfect = classification_report([0, 1, 2], [0, 1, 2], classes="abc")
    assert (perfect.matthews, perfect.kappa) == (1, 1)
    inverse = classification_report([0, 1], [1, 0], classes="ab")
    assert (inverse.matthews, inverse.kappa) == (-1, -1)
    figures = classification_report([0, 0, 0, 1], [0, 0, 1, 1], classes="ab").to_json()
    assert figures["matthews"] == pytest.approx(1 / math.sqrt(3))  # (2 * 1 - 0 * 1) / sqrt(12)
    assert figures["kappa"] == 0.5  # 3 of 4 agree, 2 by chance


def test_correlations_of_billions_of_examples_do_not_overflow():
    rare = Report(("a", "b"), np.array([[5 * 10**9, 10], [10, 10]]), 5 * 10**9 + 30)
    assert rare.matthews == pytest.approx(0.5)
    assert rare.kappa == pytest.approx(0.5)


def test_an_example_of_weight_zero_is_as_if_absent():
    whole = classification_report(
        [0, 1, 2], [0, 1, 0], classes="abc", weight=[1, 2, 0], loss=[1, 4, math.nan]
    )
    part = classification_report([0, 1], [0, 1], classes="abc", weight=[1, 2], loss=[1, 4])
    assert whole.to_json() == part.to_json()
    assert whole.n == 2
    assert whole.loss == 3


def test_counts_are_integers_and_weights_are_not():
    assert classification_report([0, 1], [0, 1], classes="ab").confusion.dtype == np.int64
    assert (
        classification_report([0, 1], [0, 1], classes="ab", weight=[0.5, 1]).confusion[0, 0] == 0.5
    )


def test_rows_of_scores_and_one_hot_labels_stand_for_classes():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(30, 4)), rng.integers(0, 4, 30)
    expected = classification_report(labels, scores.argmax(1), classes=range(4)).to_json()
    assert classification_report(np.eye(4)[labels], scores, classes=range(4)).to_json() == expected


def test_absent_classes_score_zero_and_nothing_is_nan():
    report = classification_report([0, 0], [0, 0], classes=["a", "b", "c"])
    assert report.per_class[1] == ("b", 0.0, 0.0, 0.0, 0)
    assert (report.f1, report.balanced_accuracy, report.weighted.recall) == (1, 1, 1)
    assert "nan" not in f"{report}{report.to_json()}".lower()


def test_json_is_plain_and_strict():
    report = classification_report([0, 1, 1], [0, 1, 0], classes=["a", "b"], loss=[1.0, 2.0, 3.0])
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data == report.to_json()
    assert data["loss"] == 2
    assert data["confusion"] == [[1, 0], [1, 1]]
    assert data["weighted"]["recall"] == data["accuracy"]
    assert data["per_class"][0] == {
        "name": "a",
        "precision": 0.5,
        "recall": 1,
        "f1": 2 / 3,
        "support": 1,
    }
    assert {"accuracy", "loss", "precision", "recall", "f1", "n", "classes"} < data.keys()
    lost = classification_report([0], [0], classes=["a"], loss=[math.inf])
    assert json.loads(json.dumps(lost.to_json(), allow_nan=False))["loss"] is None


def test_many_classes_print_as_the_worst_and_the_most_confused():
    rng = np.random.default_rng(0)
    truth = np.arange(3000) % 300
    said = np.where(rng.random(3000) < 0.9, truth, (truth + 1) % 300)
    said[truth == 7] = 8
    report = classification_report(truth, said, classes=[f"class {i}" for i in range(300)])
    assert report.most_confused(1) == [("class 7", "class 8", 10)]
    lines = str(report).splitlines()
    assert len(lines) < 50
    assert lines[3].split()[:4] == ["class", "7", "0.0000", "0.0000"]
    assert "class 7 taken for class 8: 10" in lines
    assert max(map(len, lines)) < 100


def test_most_confused_leaves_out_what_was_right():
    assert classification_report([0, 1], [0, 1], classes="ab").most_confused() == []


def test_html_is_balanced_and_names_are_escaped():
    report = classification_report([0, 1], [0, 1], classes=["<script>", "a & b"], loss=[0.5, 0.5])
    page = report._repr_html_()
    assert "<script>" not in page
    read = Page(page)
    assert read.open == []
    assert {"<script>", "a & b", "1.0000"} < set(read.texts)


def test_html_of_many_classes_has_the_most_confused_escaped_too():
    report = classification_report([0], [1], classes=[f"<{i}>" for i in range(30)])
    assert "<0> taken for <1>: 1" in Page(report._repr_html_()).texts


def test_plots_are_figures_and_use_the_axes_they_are_given(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    report = classification_report([0, 1, 1], [0, 1, 0], classes=["cat", "dog"])
    figure = report.plot()
    figure.savefig(tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "0", "1", "1"]
    ax = Figure().add_subplot()
    assert report.plot(ax) is ax.figure
    many = classification_report(range(30), range(30), classes=range(30))
    assert not many.plot().axes[0].texts


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([], []), ValueError, "nothing to report on"),
        (([0, 1], [0, 1], None, [0, 0]), ValueError, "nothing to report on"),
        (([0, 1], [0]), ValueError, r"predictions \(1,\) must be 2 integers"),
        (([0, 2], [0, 1]), ValueError, "labels hold class 2, but 2 classes are named"),
        (([0, 1], [0, -1]), ValueError, "predictions hold class -1"),
        (([0, 1], [0.2, 0.9]), TypeError, "p > 0.5"),
        (([0, 1], [0, 1], [1.0]), ValueError, r"loss \(1,\)"),
        (([0, 1], [0, 1], None, [1.0]), ValueError, r"weight \(1,\)"),
        (([0, 1], [0, 1], None, [1.0, -1.0]), ValueError, "at least 0"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, error, words):
    labels, said, loss, weight = (*arguments, None, None)[:4]
    with pytest.raises(error, match=words):
        classification_report(labels, said, classes="ab", loss=loss, weight=weight)
