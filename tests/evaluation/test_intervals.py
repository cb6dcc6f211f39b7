"""Bootstrap intervals: how often they cover the truth, and what they are made of."""

from functools import partial
from time import perf_counter

import numpy as np
import pytest
from scipy.stats import binomtest, norm
from scipy.stats import bootstrap as scipy_bootstrap

from fcnn import evaluation
from fcnn.evaluation import bootstrap, confusion, interval, wilson_interval
from fcnn.evaluation.overlaps import averaged, f_of, precision, recall

from .cases import close

FIGURES = precision, recall, f_of(1)
SHARES = np.array([[0.30, 0.05, 0.03], [0.06, 0.25, 0.04], [0.02, 0.05, 0.20]])  # a confusion


def classes_drawn(rng, n=250):
    cells = rng.choice(9, n, p=SHARES.ravel())
    targets, predictions = np.divmod(cells, 3)

    def figures(weight):
        matrix = evaluation.confusion_matrix(targets, predictions, weight=weight)
        names = "accuracy", "balanced_accuracy", "matthews", "kappa"
        scores = [getattr(confusion, name)(matrix) for name in names]
        scores += [averaged(f_of(1), confusion.overlap(matrix), "macro")]
        return np.stack(scores, -1)

    return figures, n


def classes_truth():
    both, true, said = np.diag(SHARES), SHARES.sum(1), SHARES.sum(0)
    spread = (1 - true @ true) * (1 - said @ said)
    beyond = both.sum() - true @ said
    return [
        both.sum(),
        (both / true).mean(),
        beyond / np.sqrt(spread),
        beyond / (1 - true @ said),
        (2 * both / (true + said)).mean(),
    ]


def ranks_drawn(rng, n=250):
    targets = rng.random(n) < 0.3
    scores = rng.normal(size=n) + 1.5 * targets

    def figures(weight):
        return np.stack(
            [
                evaluation.roc_auc(targets, scores, weight=weight),
                evaluation.brier(targets, norm.cdf(scores), weight=weight),
            ],
            -1,
        )

    return figures, n


def ranks_truth():
    x = np.linspace(-12, 14, 200_001)
    step = x[1] - x[0]
    negative = (norm.cdf(x) ** 2 * norm.pdf(x)).sum() * step
    positive = ((1 - norm.cdf(x)) ** 2 * norm.pdf(x - 1.5)).sum() * step
    return [norm.cdf(1.5 / np.sqrt(2)), 0.7 * negative + 0.3 * positive]


def numbers_drawn(rng, n=250):
    targets = rng.normal(size=n)
    predictions = targets + 0.5 * rng.normal(size=n)

    def figures(weight):
        return np.stack(
            [
                getattr(evaluation, name)(targets, predictions, weight=weight)
                for name in ("mse", "rmse", "mae", "r2", "median_absolute_error")
            ],
            -1,
        )

    return figures, n


def numbers_truth():
    return [0.25, 0.5, 0.5 * np.sqrt(2 / np.pi), 0.75, 0.5 * norm.ppf(0.75)]


KINDS = {
    "classes": (classes_drawn, classes_truth),
    "ranks": (ranks_drawn, ranks_truth),
    "numbers": (numbers_drawn, numbers_truth),
}


@pytest.mark.parametrize("sets", [200, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_intervals_of_95_percent_cover_the_truth_in_about_95_percent_of_sets(kind, sets):
    drawn, truth = KINDS[kind]
    truth, rng, covered = np.array(truth()), np.random.default_rng(0), 0
    for seed in range(sets):
        low, high = interval(*drawn(rng), resamples=300 if sets == 200 else 1000, seed=seed)
        covered = covered + ((low <= truth) & (truth <= high))
    slack = 0.02 if sets == 1000 else 0.05
    assert np.all(np.abs(covered / sets - 0.95) <= slack), covered / sets


def test_a_resample_is_a_row_of_weights():
    """The figure of a resample is that of its examples, as often as they were drawn."""
    rng = np.random.default_rng(0)
    targets, predictions = rng.integers(0, 3, (2, 40))
    seen = []

    def figure(weight):
        seen.append(weight)
        return evaluation.accuracy(targets, predictions, weight=weight)

    drawn = bootstrap(figure, 40, resamples=50)
    rows = np.concatenate(seen)
    assert rows.shape == (50, 40)
    close(rows.sum(1), np.full(50, 40))
    for row, value in zip(rows, drawn, strict=True):
        picked = np.repeat(np.arange(40), row.astype(int))
        close(value, np.mean(targets[picked] == predictions[picked]))


def test_resamples_follow_the_binomial_distribution():
    rows = []
    bootstrap(lambda weight: rows.append(weight) or weight.sum(1), 100, resamples=20_000)
    times = np.concatenate(rows)
    assert np.abs(times.mean(0) - 1).max() < 0.04
    np.testing.assert_allclose(times.var(), 0.99, atol=0.01)
    assert np.abs(np.corrcoef(times[:, 0], times[:, 1])[0, 1] + 1 / 99) < 0.03


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(0).normal(size=60)
    figure = partial(evaluation.mae, np.zeros(60), values)
    assert interval(figure, 60, seed=1) == interval(figure, 60, seed=1)
    assert interval(figure, 60, seed=1) != interval(figure, 60, seed=2)


def test_resamples_do_not_depend_on_how_many_are_made_at_once(monkeypatch):
    values = np.random.default_rng(0).normal(size=50)
    figure = partial(evaluation.mae, np.zeros(50), values)
    expected = bootstrap(figure, 50, resamples=30)
    monkeypatch.setattr("fcnn.evaluation.intervals._CHUNK", 200)
    close(bootstrap(figure, 50, resamples=30), expected)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_are_those_of_scipy(method, level):
    """As far as the chance of 20,000 resamples goes, on a skewed figure where methods differ."""
    values = np.random.default_rng(0).exponential(size=40) ** 2
    figure = partial(evaluation.mae, np.zeros(40), values)
    found = interval(figure, 40, level=level, method=method, resamples=20_000)
    expected = scipy_bootstrap(
        (values,),
        np.mean,
        confidence_level=level,
        method=method,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    np.testing.assert_allclose(found, expected, rtol=0.03)


def test_examples_of_weight_zero_are_never_drawn():
    values = np.array([1.0, 2.0, 3.0, np.nan])
    weight = np.array([1, 2, 1, 0])
    figure = partial(evaluation.mae, np.zeros(4), values)
    low, high = interval(figure, 4, weight=weight)
    assert 1 <= low < 2 < high <= 3
    assert interval(partial(evaluation.mae, np.zeros(3), values[:3]), 3, weight=weight[:3]) == (
        low,
        high,
    )


def test_resamples_without_a_figure_are_left_out():
    targets, scores = [0, 0, 0, 1], [0.1, 0.7, 0.2, 0.6]  # many draws have no positive
    figure = partial(evaluation.roc_auc, targets, scores)
    assert np.isnan(bootstrap(figure, 4)).any()
    low, high = interval(figure, 4)
    assert 0 <= low < high <= 1
    low, high = interval(partial(evaluation.roc_auc, [1, 1, 1], [0.1, 0.2, 0.3]), 3)
    assert np.isnan([low, high]).all()


def test_a_figure_that_never_changes_is_an_interval_of_one_point():
    assert interval(partial(evaluation.accuracy, [0, 1], [0, 1]), 2) == (1, 1)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 17), (812, 1000)])
def test_the_interval_of_a_part_is_wilson_s(successes, n):
    expected = binomtest(successes, n).proportion_ci(0.9, method="wilson")
    close(wilson_interval(successes, n, level=0.9), (expected.low, expected.high))


@pytest.mark.parametrize("resamples", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_report_of_ten_thousand_examples_of_ten_classes_has_its_intervals_in_seconds(resamples):
    rng = np.random.default_rng(0)
    targets, p = rng.integers(0, 10, 10_000), rng.dirichlet(np.full(10, 0.3), 10_000)
    predictions = p.argmax(1)

    def figures(weight):
        matrix = evaluation.confusion_matrix(targets, predictions, weight=weight)
        scores = [
            getattr(confusion, name)(matrix)
            for name in ("accuracy", "balanced_accuracy", "matthews", "kappa")
        ]
        scores += [averaged(figure, confusion.overlap(matrix), "macro") for figure in FIGURES]
        scores += [
            getattr(evaluation, name)(targets, p, weight=weight)
            for name in (
                "log_loss",
                "brier",
                "roc_auc",
                "average_precision",
                "expected_calibration_error",
                "top_k_accuracy",
            )
        ]
        return np.stack(scores, -1)

    start = perf_counter()
    low, high = interval(figures, 10_000, resamples=resamples)
    assert perf_counter() - start < 15  # 2 s on an idle machine
    assert np.all(low < high)
    assert low.shape == (13,)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"level": 95}, "between 0 and 1, such as 0.95, got 95"),
        ({"method": "normal"}, "'bca' or 'percentile', got 'normal'"),
        ({"resamples": 0}, "positive number, got 0"),
        ({"weight": [1, 2]}, r"weight \(2,\)"),
        ({"weight": [1, -2, 1]}, "at least 0"),
        ({"weight": [0, 1, 0]}, "two examples"),
    ],
)
def test_what_does_not_fit_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        interval(partial(evaluation.accuracy, [0, 1, 1], [0, 1, 0]), 3, **options)


def test_a_figure_of_one_row_says_how_to_be_one_of_many():
    with pytest.raises(ValueError, match="lambda weight"):
        interval(lambda weight: 0.5, 10)
