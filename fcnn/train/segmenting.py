"""The figures of a network that tells classes apart at every pixel, counted batch by batch: of a
picture it is kept how many pixels are of each class, were said to be, and both.
"""

from collections.abc import Mapping

import numpy as np

from ..evaluation import SegmentationReport
from ..evaluation.examples import Examples
from ..evaluation.segmentation_reports import areas_of, counted_report, pixel_confusions
from .deciding import labels_of, rows_of


class Pixels:
    """Counts the pixels of any number of pictures, in memory for a few."""

    def __init__(self, classes: tuple[str, ...], form: str):
        self._classes, self._form = classes, form
        self._confusion = np.zeros((len(classes), len(classes)))

    def count(self, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What is kept of a batch, with classes in place of ``outputs``."""
        said, weight = found["outputs"], found["weight"].astype(np.float64)
        labels = labels_of(found["y"], said, self._form)
        confusions = pixel_confusions(labels, said, len(self._classes))
        self._confusion += np.tensordot(weight, confusions, 1)
        kept = {name: found[name] for name in ("loss", "weight", "index")}
        return {**kept, "areas": areas_of(confusions)}

    def report(self, found: Mapping[str, np.ndarray]) -> SegmentationReport:
        """The report on all batches together, of which what was kept is ``found``."""
        rows = rows_of(found)
        examples = Examples(len(found["areas"]), rows["weight"], rows["index"])
        areas = examples.of("areas", found["areas"])
        return counted_report(self._classes, self._confusion, areas, examples, rows["loss"])
