"""The confusion matrix, of few classes and of many."""

import numpy as np
import pytest

from fcnn.evaluation import classification_report, label_report
from fcnn.figures import confusion

from .parts import made

figures = pytest.importorskip("matplotlib.figure")


def test_cells_hold_their_numbers_and_rows_are_coloured_by_their_parts():
    truth, said = [0, 1, 1, 1, 1], [0, 1, 0, 1, 1]
    figure = confusion(classification_report(truth, said, classes=["cat", "dog"]))
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["1", "0", "1", "3"]
    np.testing.assert_allclose(ax.images[0].get_array(), [[1, 0], [0.25, 0.75]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["cat", "dog"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "dog"]
    assert ax.get_title() == "accuracy 80.00%, n = 5"


def test_a_class_that_is_not_there_has_an_empty_row():
    figure = confusion(classification_report([0, 0], [0, 1], classes=["a", "b"]))
    assert figure.axes[0].images[0].get_array().tolist() == [[0.5, 0.5], [0, 0]]


def test_among_many_classes_the_worst_mistakes_are_ringed_and_named():
    truth = np.r_[np.arange(100), [7] * 9, [50] * 5]
    said = np.r_[np.arange(100), [70] * 9, [20] * 5]
    names = [f"kind {i}" for i in range(100)]
    ax = confusion(classification_report(truth, said, classes=names)).axes[0]
    assert not ax.texts
    (rings,) = ax.lines
    assert sorted(zip(rings.get_ydata(), rings.get_xdata(), strict=True)) == [(7, 70), (50, 20)]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["kind 7", "kind 50"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["kind 20", "kind 70"]
    perfect = confusion(classification_report(range(100), range(100), classes=names)).axes[0]
    assert not perfect.get_xticklabels()


def test_names_of_neighbours_do_not_cover_each_other():
    truth, said = [10] * 9 + [11] * 8 + [60] * 7, [0] * 9 + [1] * 8 + [2] * 7
    ax = confusion(classification_report(truth, said, classes=range(100))).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["10", "60"]


def test_a_report_without_classes_that_exclude_each_other_is_refused():
    labels = np.eye(3, dtype=bool)
    report = label_report(labels, labels, classes=["sun", "rain", "wind"])
    with pytest.raises(TypeError, match=r"LabelReport has no confusion matrix; .* report\.plot"):
        confusion(report)


def test_axes_that_are_given_are_used_and_any_name_is_drawn(tmp_path):
    ax = figures.Figure().add_subplot()
    names = ["$\\frac{$", "_a name that is longer than any that could be drawn", "<b>\n\0</b>", "x"]
    assert confusion(made(4, names=names), ax=ax) is ax.figure
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "\\$\\frac{\\$"
    assert 20 < len(labels[1]) <= 24
    ax.set_yticks([])  # the font has no sign for what cannot be printed
    ax.set_xticks([])
    ax.figure.savefig(tmp_path / "confusion.png")
