"""Reports on pictures in which every pixel has a class, or sequences in which every step has."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .examples import Examples
from .intervals import Interval
from .overlaps import Overlap, averaged, f_of, iou_of, precision, recall
from .reports import ClassScores, Report
from .resampled import Figures
from .weighting import alike, integers

_RESAMPLED = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "iou")


@dataclass(frozen=True, eq=False, repr=False)
class SegmentationReport(Report):
    """How well the pixels of pictures were told apart.

    What is kept of a picture is how many of its pixels are of each class, were said to be, and
    both. So the confusion matrix and the figures of it are of pixels; there are none of
    probabilities, and of single mistakes. Intervals are of the choice of pictures, whose pixels are
    alike.

    Attributes:
        areas: ``[n, k, 3]``: of each picture the number of pixels that are of a class and were said
            to be, that are, and that were said to be.
    """

    compared = "iou", "accuracy"

    areas: np.ndarray | None = None

    @property
    def pixels(self) -> int:
        """Number of pixels in all pictures together."""
        return int(self.areas[..., 1].sum())

    @property
    def iou(self) -> float:
        """Intersection over union, the mean over classes (Jaccard, 1901)."""
        return float(averaged(iou_of, self._overlap, "macro"))

    @property
    def dice(self) -> float:
        """Twice the intersection by the sum of both sizes, the mean over classes; it is ``f1``."""
        return self.f1

    @cached_property
    def per_class(self) -> tuple[ClassScores, ...]:
        """The scores of every class, in their order; ``f1`` is Dice."""
        overlaps = iou_of(self._overlap).tolist()
        rows = zip(super().per_class, overlaps, strict=True)
        return tuple(row._replace(iou=overlap) for row, overlap in rows)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts; what is not finite is null."""
        return {**super().to_json(), "pixels": self.pixels, "iou": self.iou, "dice": self.dice}

    def _lines(self) -> list[str]:
        loss = "" if self.loss is None else f", loss {self.loss:.4f}"
        return [
            f"mean IoU {self.iou:.4f}, mean Dice {self.dice:.4f}, accuracy {self.accuracy:.4f}"
            f"{loss}, {self.n:,} examples, {self.pixels:,} pixels"
        ]

    def _need(self, what: str) -> None:
        raise ValueError(
            f"a report on pixels keeps no {what} of them; fcnn.predict gives their probabilities"
        )

    def _resamples(self) -> list[Figures]:
        def figures(weight: np.ndarray) -> list[np.ndarray]:
            sums = np.tensordot(weight, self.areas.astype(np.float64), 1)
            both, true, said = np.moveaxis(sums, -1, 0)
            overlap = Overlap(both, true, said, (true + said > 0).astype(np.float64))
            present = true > 0
            scores = (precision, recall, f_of(1), iou_of)
            return [
                both.sum(-1) / true.sum(-1),
                (recall(overlap) * present).sum(-1) / present.sum(-1),
                *(averaged(figure, overlap, "macro") for figure in scores),
            ]

        return [(_RESAMPLED, figures)]

    def _data(self) -> dict[str, Any]:
        names = "classes", "index", "weight"
        return {**{name: getattr(self, name) for name in names}, "pixels": self.areas[..., 1]}

    def _mcnemar(self, other: Any) -> None:
        return None

    def _settled(self, name: str, bounds: Interval, level: float) -> Interval:
        return bounds


def pixel_confusions(targets: Any, predictions: Any, k: int) -> np.ndarray:
    """The confusion matrix of every picture: two ``[n, ...]`` of classes to integers ``[n, k, k]``.

    Raises:
        ValueError: shapes differ, or a class is out of range.
        TypeError: classes that are no integers.
    """
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    alike("predictions", predictions, targets)
    n = len(targets)
    cells = integers("targets", targets, k) * k + integers("predictions", predictions, k)
    places = cells.reshape(n, -1) + k * k * np.arange(n)[:, None]
    return np.bincount(places.ravel(), minlength=n * k * k).reshape(n, k, k)


def areas_of(confusions: np.ndarray) -> np.ndarray:
    """What a ``SegmentationReport`` keeps of confusion matrices: ``[n, k, k]`` to ``[n, k, 3]``."""
    both = np.diagonal(confusions, axis1=-2, axis2=-1)
    return np.stack([both, confusions.sum(-1), confusions.sum(-2)], -1)


def segmentation_report(
    targets: Any,
    predictions: Any,
    *,
    classes: Iterable[Any],
    loss: Any = None,
    weight: Any = None,
    index: Any = None,
) -> SegmentationReport:
    """The report on classes that were predicted for each pixel, ``[n, h, w]`` or ``[n, ...]``.

    Example:
        >>> truth, said = [[[0, 0], [1, 1]]], [[[0, 1], [1, 1]]]
        >>> report = segmentation_report(truth, said, classes=["ground", "thing"])
        >>> report.accuracy, round(report.iou, 4), round(report.dice, 4)
        (0.75, 0.5833, 0.7333)

    Args:
        targets: The true classes, integers.
        predictions: The predicted classes, of the same shape.
        classes: Names of the classes.
        loss: Of each picture, ``[n]``.
        weight: Of each picture, ``[n]``; what weighs 0 is left out.
        index: Which example of the data each is, ``[n]``; None counts them.

    Raises:
        ValueError: shapes differ, a class is out of range, a weight is negative, or no picture is
            left.
        TypeError: classes that are no integers.
    """
    classes = tuple(map(str, classes))
    examples = Examples(len(targets), weight, index)
    said = examples.of("predictions", predictions)
    confusions = pixel_confusions(examples.of("targets", targets), said, len(classes))
    total = np.tensordot(examples.weight, confusions, 1)
    return counted_report(classes, total, areas_of(confusions), examples, loss)


def counted_report(
    classes: tuple[str, ...],
    confusion: np.ndarray,
    areas: np.ndarray,
    examples: Examples,
    loss: Any = None,
) -> SegmentationReport:
    """The report on pictures whose pixels have been counted, those that count."""
    matrix = confusion.astype(np.int64) if examples.whole else confusion
    return SegmentationReport(
        classes,
        matrix,
        len(areas),
        examples.mean(loss),
        weight=examples.weight,
        index=examples.index,
        areas=areas,
    )
