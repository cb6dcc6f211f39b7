"""Conformal prediction: sets of classes that hold the true one as often as was asked for.

The threshold is fitted on examples the network was not trained on. Sets of new examples then hold
the true class with the probability ``coverage``, whatever the network, if they are of the same
kind: over calibration sets and new examples together, exactly up to ``1 / (n + 1)`` (Vovk,
Gammerman and Shafer, 2005; arXiv:2107.07511).

``'lac'`` takes every class whose probability is high enough; its sets are the smallest on average,
and empty where the network is unsure of all (Sadinle, Lei and Wasserman, arXiv:1609.00451).
``'aps'`` adds classes, the likeliest first, up to a sum of probabilities; its sets are larger where
the example is harder (arXiv:2006.02544). With a seed a class counts with a random part of its
probability, as there: coverage is then exact, and without it at least what was asked for.

    >>> probabilities = np.linspace([1, 0, 0], [0, 0.6, 0.4], 19)
    >>> targets = probabilities.argmax(1)
    >>> threshold = conformal_threshold(targets, probabilities, coverage=0.9)
    >>> sets = prediction_sets(probabilities, threshold)
    >>> round(set_coverage(targets, sets), 2), round(set_size(sets), 2)
    (0.95, 1.0)
"""

import math
from typing import Any

import numpy as np

from .probabilities import likelihoods, probabilities_of
from .weighting import binary, counted, integers, mean, plain


def conformal_threshold(
    targets: Any,
    probabilities: Any,
    *,
    coverage: float = 0.9,
    method: str = "lac",
    seed: int | None = None,
) -> float:
    """The threshold for sets that hold the true class with the probability ``coverage``.

    Args:
        targets: Classes, ``[n]``.
        probabilities: ``[n, k]``.
        coverage: Between 0 and 1.
        method: ``'lac'`` or ``'aps'``.
        seed: For ``'aps'`` of exact coverage.

    Raises:
        ValueError: an option out of range, or too few examples for this coverage.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is a probability between 0 and 1, such as 0.9, got {coverage}")
    _, truth, p = likelihoods(targets, probabilities, None)
    n = len(truth)
    rank = math.ceil((n + 1) * coverage - 1e-9)  # less what products of floats are too large by
    if rank > n:
        raise ValueError(
            f"a coverage of {coverage} needs {math.ceil(coverage / (1 - coverage) - 1e-9)} "
            f"examples or more, got {n}"
        )
    own = np.take_along_axis(_oddness(p, method, seed), truth[:, None], 1)[:, 0]
    return float(np.partition(own, rank - 1)[rank - 1])


def prediction_sets(
    probabilities: Any, threshold: float, *, method: str = "lac", seed: int | None = None
) -> np.ndarray:
    """Which classes are in the set of each example, booleans ``[n, k]``.

    Method and whether there is a seed are those the threshold was fitted with.
    """
    p = probabilities_of(probabilities)
    p = np.stack([1 - p, p], 1) if p.ndim == 1 else p
    return _oddness(p, method, seed) <= threshold


def set_coverage(targets: Any, sets: Any, *, weight: Any = None) -> float | np.ndarray:
    """Part of the examples whose set holds their class."""
    weight, targets, sets = counted(weight, targets=targets, sets=_sets(sets))
    held = np.take_along_axis(sets, integers("targets", targets, sets.shape[1])[:, None], 1)
    return plain(mean(held[:, 0].astype(np.float64), weight))


def set_size(sets: Any, *, weight: Any = None) -> float | np.ndarray:
    """Mean number of classes in a set."""
    weight, sets = counted(weight, sets=_sets(sets))
    return plain(mean(sets.sum(1).astype(np.float64), weight))


def _sets(sets: Any) -> np.ndarray:
    """Sets as booleans ``[n, k]``."""
    sets = np.asarray(sets)
    if sets.ndim != 2:
        raise ValueError(f"sets are [n, k], whether each class is in it, got {sets.shape}")
    return binary("sets", sets)


def _oddness(p: np.ndarray, method: str, seed: int | None) -> np.ndarray:
    """How odd each class would be as the truth, ``[n, k]``: 0 is what one would expect."""
    if method not in ("lac", "aps"):
        raise ValueError(f"method must be 'lac' or 'aps', got {method!r}")
    if method == "lac":
        if seed is not None:
            raise ValueError("a seed is for method='aps'; 'lac' has nothing random")
        return 1 - p
    order = np.argsort(-p, axis=1, kind="stable")
    falling = np.take_along_axis(p, order, 1)
    rest = np.zeros_like(falling)  # summed from the smallest up: sums to 1 would be rounding
    rest[:, :-1] = np.cumsum(falling[:, :0:-1], 1)[:, ::-1]
    upto = 1 - rest
    if seed is not None:
        upto -= np.random.Generator(np.random.Philox(seed)).random((len(p), 1)) * falling
    found = np.empty_like(upto)
    np.put_along_axis(found, order, upto, 1)
    return found
