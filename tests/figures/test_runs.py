"""Curves of a run."""

import numpy as np
import pytest

from fcnn.figures import training
from fcnn.train import History

figures = pytest.importorskip("matplotlib.figure")


def history(n=3, **more):
    rows = [
        {"epoch": i, "loss": 1 / i, "accuracy": 0.5, "seconds": 1.25, "validation_loss": 2 / i}
        for i in range(1, n + 1)
    ]
    return History([{**row, **more} for row in rows], "validation_loss", 2)


def test_each_metric_has_axes_with_validation_beside_training(tmp_path):
    figure = training(history())
    loss, accuracy = figure.axes
    assert (loss.get_title(), accuracy.get_title()) == ("loss", "accuracy")
    assert [line.get_label() for line in loss.lines] == ["training", "validation", "epoch 2, best"]
    np.testing.assert_allclose(loss.lines[1].get_ydata(), [2, 1, 2 / 3])
    assert [line.get_label() for line in accuracy.lines] == ["training", "epoch 2, best"]
    figure.savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_many_metrics_stand_in_rows_of_three():
    figure = training(history(a=1.0, b=2.0, c=3.0))
    assert [ax.get_title() for ax in figure.axes] == ["loss", "accuracy", "a", "b", "c"]
    assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == (2, 3)


def test_columns_are_drawn_into_the_axes_given():
    figure = figures.Figure()
    left, right = axes = figure.subplots(1, 2)
    assert training(history(), ax=axes) is figure
    assert (left.get_title(), right.get_title()) == ("loss", "accuracy")
    alone = figures.Figure().add_subplot()
    training(history(), ["accuracy"], ax=alone)
    assert alone.get_title() == "accuracy"


def test_one_epoch_and_many_can_be_read():
    assert training(history(1)).axes[0].lines[0].get_marker() == "o"
    assert training(history(100)).axes[0].lines[0].get_marker() == "None"


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="nothing to plot: the history has no epochs"):
        training(History())
    with pytest.raises(KeyError, match="no column 'f1'; there are epoch, loss"):
        training(history(), ["f1"])
    with pytest.raises(ValueError, match=r"2 curves, loss, accuracy, need as many axes, got 1"):
        training(history(), ax=figures.Figure().add_subplot())
