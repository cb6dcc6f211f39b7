"""What a search draws, against what was asked for."""

import math

import numpy as np
import pytest

from fcnn.study import integers, log_uniform, uniform
from fcnn.study.spaces import drawn, grid


def test_a_grid_has_every_combination_once():
    found = list(grid({"a": [1, 2, 3], "b": ["x", "y"]}))
    assert found == [{"a": a, "b": b} for a in (1, 2, 3) for b in "xy"]


def test_draws_follow_their_distribution():
    space = {
        "u": uniform(-1, 3),
        "l": log_uniform(1e-4, 1.0),
        "i": integers(2, 5),
        "c": ["a", "b", "c"],
    }
    rows = [drawn(space, number, 0) for number in range(4000)]
    assert np.mean([row["u"] for row in rows]) == pytest.approx(1.0, abs=0.06)
    logs = [math.log10(row["l"]) for row in rows]
    assert (np.mean(logs), np.std(logs)) == pytest.approx((-2, 4 / math.sqrt(12)), abs=0.06)
    counts = np.bincount([row["i"] for row in rows])[2:]
    assert counts.min() > 850
    assert len(counts) == 4
    assert {row["c"] for row in rows} == {"a", "b", "c"}
    assert all(-1 <= row["u"] <= 3 for row in rows)


def test_whole_numbers_by_logarithm_reach_both_ends():
    rows = [drawn({"n": integers(1, 64, log=True)}, k, 0)["n"] for k in range(2000)]
    assert {type(n) for n in rows} == {int}
    assert (min(rows), max(rows)) == (1, 64)
    assert sum(n <= 8 for n in rows) > sum(n > 32 for n in rows)


def test_a_draw_follows_from_seed_and_number_alone():
    space = {"u": uniform(0, 1), "l": log_uniform(1, 10)}
    assert drawn(space, 7, 3) == drawn(space, 7, 3)
    assert drawn(space, 7, 3) != drawn(space, 8, 3)
    assert drawn(space, 7, 3) != drawn(space, 7, 4)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: uniform(1, 1), ValueError, "from low to high"),
        (lambda: log_uniform(0, 1), ValueError, "above 0"),
        (lambda: integers(1.5, 4), ValueError, "whole numbers need whole ends"),
        (lambda: uniform(0, math.inf), ValueError, "from low to high"),
        (lambda: list(grid({})), ValueError, "nothing to search"),
        (lambda: list(grid({"a": []})), ValueError, "a has no values"),
        (lambda: list(grid({"a": "xyz"})), TypeError, "list of values or a range"),
        (lambda: list(grid({"a": uniform(0, 1)})), ValueError, "cannot be a grid"),
        (lambda: list(grid([1, 2])), TypeError, "a space is a dict"),
    ],
)
def test_what_cannot_be_searched_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
