"""Reports on pixels against scikit-learn, which knows them as one long list."""

import json

import numpy as np
import pytest
from sklearn import metrics as sklearn

from fcnn.evaluation import classification_report, segmentation_report

from ..test_tables import Page

CLASSES = ("ground", "road", "car")


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def drawn(n=20, size=6, seed=0, right=0.7):
    """Pictures of classes in stripes, and predictions of which a part is right."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.choice(3, (n, size, 1), p=[0.6, 0.3, 0.1]), size, 2)
    skill = right + 0.2 * (rng.random((n, 1, 1)) - 0.5)
    return truth, np.where(rng.random(truth.shape) < skill, truth, rng.integers(0, 3, truth.shape))


@pytest.mark.parametrize("weight", [None, np.arange(20) % 4])
def test_figures_are_those_of_all_pixels_together(weight):
    truth, said = drawn()
    report = segmentation_report(truth, said, classes=CLASSES, weight=weight)
    each = None if weight is None else np.repeat(weight, 36)
    flat, options = (truth.ravel(), said.ravel()), {"sample_weight": each}
    overlaps = sklearn.jaccard_score(*flat, average=None, **options)
    close([row.iou for row in report.per_class], overlaps)
    close(report.iou, overlaps.mean())
    close(report.dice, sklearn.f1_score(*flat, average="macro", **options))
    pixels = classification_report(*flat, classes=CLASSES, weight=each)
    close(report.confusion, pixels.confusion)
    for name in ("accuracy", "balanced_accuracy", "matthews", "kappa", "precision", "weighted"):
        close(getattr(report, name), getattr(pixels, name))
    counted = 20 if weight is None else 15
    assert (report.n, report.pixels) == (counted, 36 * counted)
    assert report.confusion.dtype == (np.int64 if weight is None else np.float64)
    np.testing.assert_array_equal(
        report.index, np.flatnonzero(np.ones(20) if weight is None else weight)
    )


def test_a_class_that_is_nowhere_does_not_count():
    truth, said = drawn()
    report = segmentation_report(truth, said, classes=[*CLASSES, "moon"])
    close(report.iou, segmentation_report(truth, said, classes=CLASSES).iou)
    assert report.per_class[3].iou == 0


def test_it_prints_overlaps_and_becomes_json():
    report = segmentation_report(*drawn(), classes=CLASSES, loss=np.ones(20))
    lines = str(report).splitlines()
    assert lines[0].startswith(f"mean IoU {report.iou:.4f}, mean Dice {report.dice:.4f}")
    assert lines[0].endswith("loss 1.0000, 20 examples, 720 pixels")
    assert lines[2].split() == ["class", "precision", "recall", "F1", "IoU", "support"]
    assert float(lines[6].split()[5]) == pytest.approx(report.iou, abs=1e-4)
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["per_class"][2]["iou"] == report.per_class[2].iou
    assert {"iou", "dice", "accuracy", "confusion", "pixels"} < data.keys()
    assert Page(report._repr_html_()).open == []


def test_intervals_are_of_the_choice_of_pictures():
    truth, said = drawn(100)
    report = segmentation_report(truth, said, classes=CLASSES)
    found = report.intervals()
    each = (truth == said).mean((1, 2))
    spread = each.std() / 10  # of pixels that were drawn one by one it would be another
    assert found["accuracy"].high - found["accuracy"].low == pytest.approx(3.92 * spread, rel=0.15)
    for name, (low, high) in found.items():
        assert low < getattr(report, name) < high
    assert set(found) == {
        *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "iou"),
    }


def test_two_reports_on_the_same_pictures_are_compared():
    truth, good = drawn(right=0.9)
    poor = drawn(right=0.5, seed=1)[1]
    first, second = (segmentation_report(truth, said, classes=CLASSES) for said in (good, poor))
    found = first.compare(second)
    assert found.differences["iou"].low > 0
    assert found.mcnemar is None
    with pytest.raises(ValueError, match="their pixels differ"):
        first.compare(segmentation_report(1 - np.minimum(truth, 1), good, classes=CLASSES))


def test_what_does_not_fit_is_refused():
    truth, said = drawn()
    with pytest.raises(ValueError, match=r"targets \(20, 6, 6\) and predictions \(20, 6\)"):
        segmentation_report(truth, said[:, 0], classes=CLASSES)
    with pytest.raises(ValueError, match="targets hold class 2, but there are 2 classes"):
        segmentation_report(truth, said, classes="ab")


def test_of_single_pixels_nothing_is_kept():
    report = segmentation_report([[0, 1]], [[0, 0]], classes="ab")
    for ask in (report.mistakes, report.conformal, lambda: report.top_k(1)):
        with pytest.raises(ValueError, match="a report on pixels keeps no probabilities"):
            ask()
