"""The classes that a classifier knows, from call to call."""

from typing import Any

import numpy as np


def told_classes(estimator: Any, classes: Any) -> None:
    """Before ``partial_fit``: keeps the classes of the first call, which later ones share.

    Raises:
        ValueError: the first call names no classes, a later one others; or their weights would
            have to be counted in examples that are not there yet.
    """
    if isinstance(estimator.class_weight, str):
        raise ValueError(
            f"partial_fit does not see all examples, which class_weight={estimator.class_weight!r} "
            "counts; give {class: weight}"
        )
    if not hasattr(estimator, "classes_"):
        if classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit")
        estimator.classes_ = np.unique(classes)
    elif classes is not None and not np.array_equal(estimator.classes_, np.unique(classes)):
        raise ValueError(
            f"classes={classes!r} is not the same as on the first call, {estimator.classes_}"
        )


def check_classes(found: np.ndarray, known: np.ndarray, *, partly: bool) -> None:
    """Refuses classes that are not known, and unless ``partly`` the lack of any.

    Raises:
        ValueError: naming both.
    """
    if len(np.setdiff1d(found, known)) or not (partly or len(found) == len(known)):
        raise ValueError(f"y has the classes {found}; the network was made for {known}")
