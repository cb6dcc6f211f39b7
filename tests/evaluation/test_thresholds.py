"""Thresholds against a search over all of them."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from fcnn.evaluation import best_threshold

from .cases import COUNTS, close, present, ranked

AIMS = {
    "f1": lambda t, s, w: sklearn.f1_score(t, s, sample_weight=w, zero_division=0),
    "precision": lambda t, s, w: sklearn.precision_score(t, s, sample_weight=w, zero_division=0),
    "recall": lambda t, s, w: sklearn.recall_score(t, s, sample_weight=w),
    "youden": lambda t, s, w: 2 * sklearn.balanced_accuracy_score(t, s, sample_weight=w) - 1,
}


@COUNTS
@pytest.mark.parametrize("aim", AIMS)
def test_no_threshold_is_better_by_the_aim(aim, count):
    tried = 0
    for targets, scores, _, weight in ranked(count // 3):
        truth, score = (targets == 0).astype(int), scores[:, 0]
        w, t, s = present(weight, truth, score)
        if len(set(t)) < 2:
            continue
        found = best_threshold(truth, score, aim, weight=weight)
        values = {x: AIMS[aim](t, s >= x, w) for x in np.unique(s)}
        best = max(values.values())
        close(values[found.threshold], best)
        assert found.threshold == max(x for x in values if values[x] > best - 1e-12)
        for name in ("f1", "precision", "recall"):
            close(getattr(found, name), AIMS[name](t, s >= found.threshold, w))
        tried += 1
    assert tried > count / 10


@COUNTS
def test_a_bound_is_kept_and_nothing_within_it_is_better(count):
    for targets, scores, _, weight in ranked(count // 3):
        truth, score = (targets == 0).astype(int), scores[:, 0]
        w, t, s = present(weight, truth, score)
        if len(set(t)) < 2:
            continue
        precision, recall = (
            {x: AIMS[name](t, s >= x, w) for x in np.unique(s)} for name in ("precision", "recall")
        )
        found = best_threshold(truth, score, "precision", recall=0.7, weight=weight)
        assert found.recall >= 0.7
        close(found.precision, max(precision[x] for x in precision if recall[x] >= 0.7))
        reached = max(precision.values())
        found = best_threshold(truth, score, "recall", precision=reached - 1e-9, weight=weight)
        close(found.recall, max(recall[x] for x in recall if precision[x] >= reached - 1e-9))


@COUNTS
def test_the_cost_is_the_lowest_and_never_is_a_choice(count):
    never = 0
    for i, (targets, scores, _, weight) in enumerate(ranked(count // 3)):
        truth, score = (targets == 0).astype(int), scores[:, 0]
        w, t, s = present(weight, truth, score)
        if len(set(t)) < 2:
            continue
        costs = (1 + 3 * (i % 2), 1)
        found = best_threshold(truth, score, "cost", costs=costs, weight=weight)

        def cost(x, t=t, s=s, w=w, costs=costs):
            said = s >= x
            wrong = costs[0] * ((t == 0) & said) + costs[1] * ((t == 1) & ~said)
            return np.average(wrong, weights=w)

        close(cost(found.threshold), min(map(cost, [*np.unique(s), np.inf])))
        never += found.threshold == np.inf
    assert never


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        (([0, 1], [0, 1], "auc"), {}, "'auc'"),
        (([1, 1], [0, 1]), {}, "one side only"),
        (([1, 0], [0, 1], "recall"), {"precision": 0.9}, "precision of 0.9: at most 0.5"),
        (([1, 0], [0, 1], "recall"), {"precision": 90}, "from 0 to 1, got 90"),
        (([1, 0], [0, 1], "cost"), {}, "go together"),
        (([1, 0], [0, 1], "f1"), {"costs": (1, 2)}, "go together"),
    ],
)
def test_what_cannot_be_is_refused(arguments, options, says):
    with pytest.raises(ValueError, match=says):
        best_threshold(*arguments, **options)


@pytest.mark.parametrize("costs", [(-1, 1), (1, 1, 3), (1, np.inf)])
def test_costs_that_are_none_are_refused(costs):
    with pytest.raises(ValueError, match="each at least 0"):
        best_threshold([0, 1], [0.1, 0.2], "cost", costs=costs)
