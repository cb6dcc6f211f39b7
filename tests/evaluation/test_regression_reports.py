"""Reports on numbers against scikit-learn, on random and on degenerate cases."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from fcnn.evaluation import regression_report

from ..test_tables import Page


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.integers(2, 20), st.integers(1, 3), st.booleans(), st.booleans(), st.integers(0, 2**31))
def test_regression_equals_scikit_learn(n, d, weighted, constant, seed):
    rng = np.random.default_rng(seed)
    targets, outputs = rng.normal(size=(2, n, d)) * 10.0 ** rng.integers(-3, 4)
    if constant:
        targets[:, 0] = 1.0
    weight = rng.integers(1, 4, n) if weighted else None
    report = regression_report(targets, outputs, weight=weight)
    options = {"sample_weight": weight}
    close(report.mse / sklearn.mean_squared_error(targets, outputs, **options), 1)
    close(report.rmse / sklearn.root_mean_squared_error(targets, outputs, **options), 1)
    close(report.mae / sklearn.mean_absolute_error(targets, outputs, **options), 1)
    close(report.mape / sklearn.mean_absolute_percentage_error(targets, outputs, **options), 1)
    np.testing.assert_allclose(report.r2, sklearn.r2_score(targets, outputs, **options), rtol=1e-9)


def test_r2_of_a_constant_is_one_if_exact_and_zero_if_not():
    for value in (0.1, 0.0, 1e9):
        targets, weight = np.full(7, value), [1, 2, 3, 1, 2, 3, 1]
        assert regression_report(targets, targets, weight=weight).r2 == 1
        assert regression_report(targets, targets + 1, weight=weight).r2 == 0
    assert regression_report([3.0], [4.0]).r2 == 0


def test_an_example_of_weight_zero_is_as_if_absent():
    whole = regression_report([0, 1, 9], [0, 2, 0], weight=[1, 2, 0])
    assert whole.to_json() == regression_report([0, 1], [0, 2], weight=[1, 2]).to_json()


def test_json_is_plain_and_what_is_not_finite_is_null():
    data = regression_report([1.0, 2.0], [1.0, 3.0], loss=[0.0, 1.0]).to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    figures = {"mse": 0.5, "rmse": 0.5**0.5, "mae": 0.5, "mape": 0.25, "r2": -1}
    assert data == {"n": 2, "loss": 0.5, **figures}
    lost = regression_report([1.0, 2.0], [1.0, np.inf]).to_json()
    assert (lost["n"], lost["loss"], lost["mse"], lost["mae"]) == (2, None, None, None)


def test_it_prints_what_is_known():
    report = regression_report([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    assert str(report).splitlines() == [
        "figure     value",
        "n              3",
        "mse     0.333333",
        "rmse     0.57735",
        "mae     0.333333",
        "mape    0.111111",
        "r2           0.5",
    ]
    assert repr(report) == "<RegressionReport R2 0.5000, RMSE 0.57735, 3 examples>"
    page = Page(report._repr_html_())
    assert page.open == []
    assert {"rmse", "0.57735"} < set(page.texts)


@pytest.mark.parametrize("outputs", [1, 2, 12])
def test_the_plot_shows_every_output_against_the_diagonal(outputs, tmp_path):
    figures = pytest.importorskip("matplotlib.figure")
    targets = np.random.default_rng(0).normal(size=(20, outputs))
    report = regression_report(targets, targets + 0.1)
    figure = report.plot()
    figure.savefig(tmp_path / "numbers.png")
    assert (tmp_path / "numbers.png").read_bytes().startswith(b"\x89PNG")
    *points, diagonal = figure.axes[0].lines
    np.testing.assert_array_equal([line.get_xdata() for line in points], targets.T)
    np.testing.assert_array_equal([line.get_ydata() for line in points], targets.T + 0.1)
    assert diagonal.get_slope() == 1
    assert (figure.axes[0].get_legend() is not None) == (outputs == 2)
    ax = figures.Figure().add_subplot()
    assert report.plot(ax) is ax.figure


def test_numbers_that_are_not_finite_can_be_plotted(tmp_path):
    pytest.importorskip("matplotlib")
    lost = regression_report([1.0, 2.0, 3.0], [np.nan, 2.0, 1.0])
    lost.plot().savefig(tmp_path / "lost.png")


def test_numbers_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r"targets \(3,\) and outputs \(3, 1\)"):
        regression_report(np.zeros(3), np.zeros((3, 1)))


def test_figures_have_intervals_and_can_be_compared():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(300, 2))
    near, far = truth + 0.1 * rng.normal(size=(300, 2)), truth + 0.3 * rng.normal(size=(300, 2))
    good, poor = (regression_report(truth, outputs) for outputs in (near, far))
    found = good.intervals()
    assert set(found) == {"mse", "rmse", "mae", "mape", "r2"}
    for name, (low, high) in found.items():
        assert low < getattr(good, name) < high
    spread = ((near - truth) ** 2).mean(1).std() / 300**0.5
    assert found["mse"].high - found["mse"].low == pytest.approx(2 * 1.96 * spread, rel=0.15)
    differences = good.compare(poor).differences
    assert differences["rmse"].high < 0 < differences["r2"].low
    assert good.compare(poor).mcnemar is None
    with pytest.raises(ValueError, match="their targets differ"):
        good.compare(regression_report(truth + 1, near))


def test_figures_that_are_not_known_are_printed_all_the_same():
    printed = str(regression_report([1.0, 2.0], [1.0, np.nan]))
    assert printed.count("nan") == 5
