"""Reports against scikit-learn, on random and on degenerate cases."""

import json
import math
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from fcnn.evaluation import Report, classification_report

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
    close([row[1:5] for row in report.per_class], np.transpose(scores(None, labels=range(k))))


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
    assert report.per_class[1][:5] == ("b", 0.0, 0.0, 0.0, 0)
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


def said(n=400, k=5, seed=0, sharp=2.0, noise=1.0):
    """A report with probabilities, of a classifier that is mostly right."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    scores = sharp * ((truth[:, None] == np.arange(k)) + noise * rng.normal(size=(n, k)))
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return classification_report(truth, p, probabilities=p, classes=[f"c{i}" for i in range(k)])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [2, 4])
def test_figures_of_probabilities_equal_scikit_learn(k, weighted):
    rng = np.random.default_rng(k)
    truth, p = rng.integers(0, k, 60), rng.dirichlet(np.ones(k), 60)
    weight = rng.integers(0, 3, 60).astype(float) if weighted else None
    report = classification_report(truth, p, probabilities=p, classes=range(k), weight=weight)
    options = {"sample_weight": weight}
    scores, of_classes = (p[:, 1], {}) if k == 2 else (p, {"multi_class": "ovr"})
    positive = truth if k == 2 else truth[:, None] == np.arange(k)
    close(report.roc_auc, sklearn.roc_auc_score(truth, scores, **of_classes, **options))
    close(report.average_precision, sklearn.average_precision_score(positive, scores, **options))
    close(report.log_loss, sklearn.log_loss(truth, p, labels=range(k), **options))
    if k == 2:
        close(report.brier, sklearn.brier_score_loss(truth, p[:, 1], **options))
    else:
        distance = ((p - positive) ** 2).sum(1)
        close(report.brier, np.average(distance, weights=weight))
        close(report.top_k(2), sklearn.top_k_accuracy_score(truth, p, k=2, **options))
    beta = sklearn.fbeta_score(truth, p.argmax(1), beta=2, average="macro", **options)
    close(report.f_beta(2), beta)
    close(report.micro.f1, sklearn.f1_score(truth, p.argmax(1), average="micro", **options))
    areas = [sklearn.roc_auc_score(truth == i, p[:, i], **options) for i in range(k)]
    close([row.roc_auc for row in report.per_class], areas)


def test_probabilities_add_to_what_is_printed_and_stored():
    plain = classification_report([0, 1, 1], [0, 1, 0], classes="ab")
    p = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]
    report = classification_report([0, 1, 1], [0, 1, 0], classes="ab", probabilities=p)
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert {name: data[name] for name in plain.to_json() if name != "per_class"} == {
        name: value for name, value in plain.to_json().items() if name != "per_class"
    }
    assert data["roc_auc"] == data["per_class"][0]["roc_auc"] == 1
    assert data["log_loss"] == pytest.approx(-np.log([0.9, 0.8, 0.3]).mean())
    assert "roc_auc" not in plain.to_json()
    assert plain.roc_auc is plain.log_loss is None
    lines = str(report).splitlines()
    assert lines[1].startswith("ROC AUC 1.0000, average precision 1.0000, log loss 0.5108")
    assert lines[3].split() == ["class", "precision", "recall", "F1", "ROC", "AUC", "support"]
    page = Page(report._repr_html_())
    assert page.open == []
    assert "ROC AUC" in page.texts


def test_a_class_that_is_absent_has_no_area_and_does_not_count():
    p = np.array([[0.6, 0.3, 0.1], [0.4, 0.5, 0.1], [0.5, 0.4, 0.1]])
    report = classification_report([0, 1, 1], p, classes="abc", probabilities=p)
    assert report.per_class[2].roc_auc is None
    assert report.roc_auc == 1
    assert "roc_auc" not in report.to_json()["per_class"][2]
    assert str(report).splitlines()[6].split() == ["c", "0.0000", "0.0000", "0.0000", "-", "0"]


def test_a_network_that_has_diverged_is_reported_all_the_same():
    p = np.array([[np.nan, np.nan], [0.5, 0.5]])
    report = classification_report([0, 1], [0, 0], classes="ab", probabilities=p)
    assert math.isnan(report.roc_auc)
    assert report.to_json()["log_loss"] is None
    assert "nan" in str(report)
    assert set(report.intervals()) == {
        *("accuracy", "balanced_accuracy", "matthews", "kappa", "precision", "recall", "f1")
    }


def test_the_worst_mistakes_come_first_with_their_place_in_the_data():
    p = np.array([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.01, 0.99], [0.4, 0.6]])
    options = {"classes": ["cat", "dog"], "probabilities": p, "weight": [1, 1, 1, 0, 1]}
    report = classification_report([0, 1, 1, 0, 0], p, index=[10, 11, 12, 13, 14], **options)
    assert report.mistakes() == [
        (10, "cat", "dog", 0.9),
        (12, "dog", "cat", 0.7),
        (14, "cat", "dog", 0.6),
    ]
    assert report.mistakes(1)[0].index == 10
    unnamed = classification_report([0, 1, 1, 0, 0], p, **options)
    assert [mistake.index for mistake in unnamed.mistakes()] == [0, 2, 4]


def test_what_asks_for_single_examples_needs_them():
    rare = Report(("a", "b"), np.array([[5, 1], [1, 3]]), 10)
    for ask in (rare.mistakes, rare.intervals, lambda: rare.compare(rare), rare.conformal):
        with pytest.raises(ValueError, match="the report knows no"):
            ask()


def test_intervals_are_those_of_theory_where_there_is_one():
    report = said(1000)
    low, high = report.interval("accuracy", level=0.9)
    half = 1.645 * math.sqrt(report.accuracy * (1 - report.accuracy) / 1000)
    assert high - low == pytest.approx(2 * half, rel=0.15)
    assert low < report.accuracy < high
    wider = report.interval("accuracy", level=0.99)
    assert wider.low < low < high < wider.high


def test_every_figure_has_an_interval_that_follows_from_the_seed():
    report = said(200)
    found = report.intervals(seed=1)
    assert set(found) == {
        *("accuracy", "balanced_accuracy", "matthews", "kappa", "precision", "recall", "f1"),
        *("roc_auc", "average_precision", "pr_auc", "log_loss", "brier", "calibration_error"),
    }
    for name, (low, high) in found.items():
        assert low < high, name
        assert found.figures[name] == getattr(report, name)
    assert found == said(200).intervals(seed=1) != report.intervals(seed=2)
    assert found["roc_auc"] == said(200).interval("roc_auc", seed=1)
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["level"] == 0.95
    assert data["f1"] == list(found["f1"])
    lines = str(found).splitlines()
    assert lines[0] == "intervals of 95 % confidence"
    assert lines[2].split() == [
        "accuracy",
        *(f"{x:.4f}" for x in (report.accuracy, *found["accuracy"])),
    ]
    assert Page(found._repr_html_()).open == []
    with pytest.raises(ValueError, match="no figure 'f2' of this report can be resampled; there"):
        report.interval("f2")


def test_twenty_right_answers_do_not_promise_more():
    report = classification_report([0, 1] * 10, [0, 1] * 10, classes="ab")
    low, high = report.interval("accuracy")
    assert (low, high) == (pytest.approx(0.8389, abs=1e-4), 1)  # Wilson, 1927


@pytest.mark.slow
def test_a_report_of_ten_thousand_with_all_intervals_takes_seconds():
    report = said(10_000, 10)
    begun = time.perf_counter()
    report.intervals()
    assert time.perf_counter() - begun < 5


def test_two_reports_on_the_same_data_are_compared():
    scipy = pytest.importorskip("scipy.stats")
    good, poor = said(500, noise=0.6), said(500, noise=1.2)
    found = good.compare(poor)
    only = (good.predictions == good.targets) != (poor.predictions == poor.targets)
    first = int((only & (good.predictions == good.targets)).sum())
    assert found.mcnemar[:2] == (first, int(only.sum()) - first)
    expected = scipy.binomtest(first, int(only.sum())).pvalue
    assert found.mcnemar.p_value == pytest.approx(expected)
    value, low, high, p = found.differences["accuracy"]
    assert value == pytest.approx(good.accuracy - poor.accuracy)
    assert 0 < low < value < high
    assert p < 0.01
    assert found.differences["log_loss"].value < 0
    assert found.figures["f1"] == (good.f1, poor.f1)
    json.dumps(found.to_json(), allow_nan=False)
    assert "only the first is right" in str(found)
    assert "accuracy +" in repr(found)
    assert Page(found._repr_html_()).open == []
    assert list(good.compare(poor, figures=["brier"]).differences) == ["brier"]
    unsure = classification_report(good.targets, good.predictions, classes=good.classes)
    assert list(unsure.compare(poor).differences) == ["accuracy", "f1"]
    same = good.compare(good)
    assert (same.differences["accuracy"].value, same.mcnemar.p_value) == (0, 1)


def test_reports_on_other_data_are_not_compared():
    report = said(50)
    with pytest.raises(ValueError, match="their index differ"):
        report.compare(said(51))
    with pytest.raises(ValueError, match="their targets differ"):
        report.compare(said(50, seed=1))
    with pytest.raises(TypeError, match="a Report can be compared with another, not with a float"):
        report.compare(0.9)


def test_conformal_sets_hold_the_truth_as_often_as_was_asked():
    held_out, fresh = said(2000, seed=1), said(2000, seed=2)
    sets = held_out.conformal(0.9)(fresh.probabilities)
    assert (sets.shape, sets.dtype) == ((2000, 5), bool)
    assert 0.87 < sets[np.arange(fresh.n), fresh.targets].mean() < 0.93
    assert held_out.conformal(0.6)(fresh.probabilities).sum() < sets.sum()
    with pytest.raises(ValueError, match="coverage"):
        held_out.conformal(90)


@pytest.mark.parametrize(
    ("p", "words"),
    [
        ([[0.5, 0.5]], r"probabilities \(1, 2\) must be \(2, 2\)"),
        ([[2.0, -1.0], [0.5, 0.5]], "from 0 to 1"),
        ([[0.5, 0.1], [0.5, 0.5]], "must sum to 1"),
    ],
)
def test_what_are_no_probabilities_is_refused(p, words):
    with pytest.raises(ValueError, match=words):
        classification_report([0, 1], [0, 1], classes="ab", probabilities=p)


def test_a_single_class_is_predicted_without_loss():
    report = classification_report([0, 0], [0, 0], probabilities=[[1.0], [1.0]], classes="a")
    assert report.log_loss == pytest.approx(0, abs=1e-12)
    assert (report.brier, report.calibration_error) == (0, 0)


def test_conformal_sets_of_weighted_examples_are_refused():
    p = np.random.default_rng(0).dirichlet([1, 1], 40)
    report = classification_report(
        p.argmax(1), p.argmax(1), probabilities=p, classes="ab", weight=1 + np.arange(40) % 2
    )
    with pytest.raises(ValueError, match="count the same"):
        report.conformal()


def test_a_comparison_of_what_is_not_known_is_null():
    p = np.random.default_rng(0).dirichlet([1, 1], 9)
    report = classification_report(np.ones(9, int), p.argmax(1), probabilities=p, classes="ab")
    found = report.compare(report, figures=["roc_auc"]).to_json()
    assert found["figures"] == {"roc_auc": [None, None]}
    assert set(found["differences"]["roc_auc"].values()) == {None}
