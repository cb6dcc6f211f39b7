"""Random and degenerate cases: classes absent, one class only, ties, weights, zero weights."""

import numpy as np
import pytest

COUNTS = pytest.mark.parametrize("count", [24, pytest.param(500, marks=pytest.mark.slow)])
WEIGHTS = (0.25, 1.0, 3.7)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def generators(count):
    """A generator of random numbers for each case, and its number."""
    return ((np.random.default_rng([7, i]), i) for i in range(count))


def weights(rng, i, n, some=WEIGHTS):
    """None, random weights, or such as leave examples out."""
    if i % 3 == 0:
        return None
    if i % 3 == 1:
        return rng.choice(some, n)
    weight = rng.choice((0, *some), n)
    weight[rng.integers(n)] = 1.0
    return weight


def classes(count):
    """``targets, predictions, k, weight``; of the ``k`` classes some may not occur."""
    for rng, i in generators(count):
        k, n = int(rng.integers(2, 7)), int(rng.integers(1, 40))
        highest = 1 if i % 11 == 3 else k
        targets, predictions = rng.integers(0, highest, n), rng.integers(0, k, n)
        right = rng.random(n) < rng.random()
        predictions = np.where(right, targets, predictions)
        if i % 7 == 5:
            predictions = np.full(n, predictions[0])
        yield targets, predictions, k, weights(rng, i, n)


def ranked(count):
    """``targets, scores, k, weight``: scores ``[n, k]`` that sum to one, often tied."""
    for (targets, _, k, weight), (rng, i) in zip(classes(count), generators(count), strict=True):
        scores = rng.random((len(targets), k)) + (targets[:, None] == np.arange(k)) * rng.random()
        if i % 2:
            scores = 0.1 + np.round(2 * scores)
        if i % 13 == 4:
            scores = np.ones_like(scores)
        yield targets, scores / scores.sum(1, keepdims=True), k, weight


def labels(count):
    """``targets, predictions, weight``, 0 or 1 for each of several labels; some never or always."""
    for rng, i in generators(count):
        n, k = int(rng.integers(1, 30)), int(rng.integers(2, 6))
        targets, predictions = rng.integers(0, 2, (2, n, k))
        predictions = np.where(rng.random((n, k)) < 0.5, targets, predictions)
        if i % 5 == 2:
            targets[:, 0] = 0
        if i % 5 == 3:
            predictions[:] = 0
            targets[:, -1] = 1
        if i % 10 == 7:
            targets[:], predictions[:, 0] = 0, 0
        yield targets, predictions, weights(rng, i, n)


def numbers(count):
    """``targets, predictions, weight`` ``[n]`` or ``[n, d]``; constant ones, exact ones."""
    for rng, i in generators(count):
        n, d = int(rng.integers(2, 40)), int(rng.integers(1, 4))
        targets = rng.normal(size=(n, d)) * 10 ** rng.uniform(-3, 3)
        predictions = targets + rng.normal(size=(n, d)) * rng.uniform(0, 2)
        if i % 5 == 1:
            targets[:, 0] = 2.0
        if i % 5 == 2:
            predictions[:, -1] = targets[:, -1]
        if i % 5 == 3:
            targets, predictions = np.round(targets), np.round(predictions)
        if i % 10 == 6:
            targets[:, 0] = predictions[:, 0] = 2.0
        one = d == 1 and i % 2
        yield (
            targets[:, 0] if one else targets,
            predictions[:, 0] if one else predictions,
            weights(rng, i, n, some=(0.25, 1.0, 3.5)),  # half of them is exact, too
        )


def present(weight, *arrays):
    """What weighs more than 0, for an oracle that would count the rest."""
    if weight is None:
        return [None, *arrays]
    return [weight[weight > 0], *(array[weight > 0] for array in arrays)]


def rows_agree(figure, n, count=5):
    """A figure of rows of weights is that of each row."""
    rng = np.random.default_rng(n)
    rows = rng.choice((0, *WEIGHTS), (2, count, n))
    rows[..., 0] = 1
    found = figure(weight=rows)
    for i in np.ndindex(2, count):
        close(np.asarray(found)[i], figure(weight=rows[i]))
