import csv

import pytest

from fcnn.train import History

from ..test_tables import Page


def rows(*losses):
    return [
        {"epoch": i, "loss": loss, "accuracy": 0.5, "seconds": 1.25, "validation_loss": 2 * loss}
        for i, loss in enumerate(losses, 1)
    ]


def recorded(monitor, column, values, mode="min"):
    """The history of such values, with the epoch number in the place of a network."""
    history = History(monitor=monitor, mode=mode)
    for epoch, value in enumerate(values, 1):
        history.record({"epoch": epoch, column: value}, lambda epoch=epoch: epoch)
    return history


def test_nan_is_never_the_best():
    history = History(monitor="loss")
    for epoch, loss in enumerate([float("nan"), 1.0, float("nan"), 0.5], start=1):
        history.record({"epoch": epoch, "loss": loss}, lambda epoch=epoch: epoch)
    assert (history.best_epoch, history.best) == (4, 4)


def test_the_best_epoch_is_the_lowest_loss_and_the_first_of_equals():
    history = recorded("validation_loss", "validation_loss", [3.0, 1.0, 2.0, 1.0])
    assert (history.best_epoch, history.best) == (2, 2)


def test_the_best_epoch_is_the_highest_where_larger_is_better():
    assert recorded("accuracy", "accuracy", [0.1, 0.9, 0.5], mode="max").best_epoch == 2
    assert recorded("accuracy", "accuracy", [0.1, 0.9, 0.5], mode="min").best_epoch == 1


def test_a_network_is_kept_only_when_it_is_better():
    history = History()
    assert history.record({"epoch": 1, "loss": 1.0}, lambda: "first")
    assert not history.record({"epoch": 2, "loss": 2.0}, lambda: pytest.fail("not asked for"))
    assert history.best == "first"


def test_columns_rows_and_length():
    history = History(rows(2.0, 1.0))
    assert history["loss"] == [2, 1]
    assert [row["epoch"] for row in history] == [1, 2]
    assert len(history) == 2
    with pytest.raises(KeyError, match="no column 'f1'; there are epoch, loss, accuracy"):
        history["f1"]
    with pytest.raises(KeyError, match="none yet"):
        History()["loss"]


def test_it_prints_one_line_per_epoch():
    assert repr(History(rows(2.0, 0.25))).splitlines() == [
        "epoch    loss  accuracy  seconds  validation_loss",
        "    1  2.0000    0.5000      1.2           4.0000",
        "    2  0.2500    0.5000      1.2           0.5000",
    ]
    assert repr(History()) == "<history: no epochs>"


def test_html_says_which_epoch_was_best_and_why_the_run_ended():
    history = History(rows(2.0, 1.0, 3.0), "validation_loss", 2, stopped="stopped: a < b")
    page = Page(history._repr_html_())
    assert page.open == []
    assert {"validation_loss", "4.0000", "best validation_loss: epoch 2"} < set(page.texts)
    assert "stopped: a < b" in page.texts
    shaded = [line for line in history._repr_html_().splitlines() if "background" in line]
    assert len(shaded) == 1
    assert ">2.0000<" in shaded[0]
    assert Page(History()._repr_html_()).texts == ["<history: no epochs>"]


def test_csv_gives_the_rows_back(tmp_path):
    history = History(rows(2.0, 1.0))
    history.write_csv(tmp_path / "history.csv")
    with open(tmp_path / "history.csv", newline="") as file:
        found = [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    assert found == history.rows


def test_the_plot_has_axes_for_each_metric_and_validation_beside_training(tmp_path):
    pytest.importorskip("matplotlib")
    figure = History(rows(2.0, 1.0, 3.0), "validation_loss", 2).plot()
    loss, accuracy = figure.axes
    assert (loss.get_title(), accuracy.get_title()) == ("loss", "accuracy")
    assert [line.get_label() for line in loss.lines] == [
        "training",
        "validation",
        "epoch 2, best",
    ]
    assert list(loss.lines[1].get_ydata()) == [4, 2, 6]
    assert [line.get_label() for line in accuracy.lines] == ["training", "epoch 2, best"]
    figure.savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_the_plot_of_many_metrics_has_rows_of_three():
    pytest.importorskip("matplotlib")
    figure = History([{"epoch": 1, **dict.fromkeys("abcde", 1.0)}]).plot()
    assert [ax.get_title() for ax in figure.axes] == list("abcde")
    assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == (2, 3)


def test_an_empty_history_has_no_plot():
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="nothing to plot"):
        History().plot()
