"""Reports on several labels per example against scikit-learn."""

import json
import math

import numpy as np
import pytest
from sklearn import metrics as sklearn

from fcnn.evaluation import label_report

from ..test_tables import Page

CLASSES = ("cat", "dog", "bird")


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def drawn(n=60, seed=0, good=0.7):
    """Truth, and probabilities that know something of it."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 3)) < [0.5, 0.2, 0.7]
    return truth, np.clip(good * truth + (1 - good) / 2 + 0.3 * rng.normal(size=(n, 3)), 0, 1)


def report_on(truth, p, **options):
    return label_report(truth, p > 0.5, probabilities=p, classes=CLASSES, **options)


@pytest.mark.parametrize("weight", [None, np.arange(60) % 3])
def test_figures_equal_scikit_learn(weight):
    truth, p = drawn()
    report, said, options = report_on(truth, p, weight=weight), p > 0.5, {"sample_weight": weight}
    close(report.hamming_loss, sklearn.hamming_loss(truth, said, **options))
    close(report.accuracy, 1 - report.hamming_loss)
    close(report.subset_accuracy, sklearn.accuracy_score(truth, said, **options))
    score = sklearn.jaccard_score(truth, said, average="samples", zero_division=0, **options)
    close(report.jaccard, score)
    for name in ("macro", "micro", "weighted"):
        expected = sklearn.precision_recall_fscore_support(
            truth, said, average=name, zero_division=0, **options
        )
        close(getattr(report, name), expected[:3])
    close(
        report.f_beta(0.5), sklearn.fbeta_score(truth, said, beta=0.5, average="macro", **options)
    )
    close(report.roc_auc, sklearn.roc_auc_score(truth, p, **options))
    close(report.average_precision, sklearn.average_precision_score(truth, p, **options))
    columns = sklearn.precision_recall_fscore_support(truth, said, zero_division=0, **options)
    close([row[1:5] for row in report.per_class], np.transpose(columns))
    close(
        [row.roc_auc for row in report.per_class],
        sklearn.roc_auc_score(truth, p, average=None, **options),
    )


def test_it_prints_labels_by_name_and_becomes_json():
    report = report_on(*drawn(), loss=np.ones(60))
    lines = str(report).splitlines()
    assert lines[0].startswith(f"accuracy {report.accuracy:.4f} of labels")
    assert lines[0].endswith("loss 1.0000, 60 examples")
    assert [line.split()[0] for line in lines[2:]] == ["class", *CLASSES, "macro", "weighted"]
    assert lines[6].split()[2] == f"{report.precision:.4f}"
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert [row["name"] for row in data["per_class"]] == list(CLASSES)
    assert {"accuracy", "hamming_loss", "subset_accuracy", "f1", "roc_auc", "n"} < data.keys()
    assert Page(report._repr_html_()).open == []
    assert repr(report).startswith("<LabelReport accuracy")


def test_a_label_that_never_occurs_has_no_area():
    truth, p = drawn()
    truth[:, 1] = False
    report = report_on(truth, p)
    assert report.per_class[1].roc_auc is None
    close(report.roc_auc, sklearn.roc_auc_score(truth[:, [0, 2]], p[:, [0, 2]]))
    unsure = label_report(truth, p > 0.5, classes=CLASSES)
    assert unsure.roc_auc is None
    lost = report_on(truth, np.where(truth, np.nan, p))
    assert math.isnan(lost.roc_auc)
    assert lost.to_json()["roc_auc"] is None


def test_figures_have_intervals_and_can_be_compared():
    truth, p = drawn(400)
    report, poor = report_on(truth, p), report_on(truth, drawn(400, good=0.3)[1])
    found = report.intervals()
    for name, (low, high) in found.items():
        assert low < getattr(report, name) < high
    assert {"f1", "hamming_loss", "subset_accuracy", "roc_auc"} < set(found)
    differences = report.compare(poor).differences
    assert differences["hamming_loss"].high < 0 < differences["f1"].low


def test_what_does_not_fit_is_refused():
    truth, p = drawn()
    with pytest.raises(ValueError, match=r"labels \(60, 3\) must be \[n, 2\]"):
        label_report(truth, p > 0.5, classes="ab")
    with pytest.raises(ValueError, match="predictions must be 0 or 1"):
        label_report(truth, p, classes=CLASSES)
    with pytest.raises(ValueError, match="from 0 to 1"):
        label_report(truth, p > 0.5, probabilities=2 * p, classes=CLASSES)
