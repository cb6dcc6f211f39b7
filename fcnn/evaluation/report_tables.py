"""How reports on classes are written: as text for a terminal, as HTML for a notebook."""

from html import escape
from typing import Any

import numpy as np

from ..tables import html_table, number, short, text_table
from .weighting import ratio

MANY = 20  # classes beyond which a matrix is no longer legible
_COLUMNS = {  # of the table of classes
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "iou": "IoU",
    "roc_auc": "ROC AUC",
}


def as_text(report: Any, lines: list[str]) -> str:
    """The report below some lines: scores by class, and what was taken for what."""
    rows, k = _rows_of(report), len(report.classes)
    parts = ["\n".join(lines), text_table(rows, "l" + "r" * (len(rows[0]) - 1))]
    if k <= MANY:
        parts.append(text_table(_confusion_rows(report), "l" + "r" * k))
    else:
        parts.append("\n".join(_mistaken(report)))
    return "\n\n".join(parts).rstrip()


def as_html(report: Any, lines: list[str]) -> str:
    """The same as HTML; the cells of the confusion matrix are shaded row by row."""
    rows, k = _rows_of(report), len(report.classes)
    table = html_table(rows, "l" + "r" * (len(rows[0]) - 1), foot=2)
    parts = [f"<p>{'<br>'.join(lines)}</p>", table]
    if k <= MANY:
        shades = ratio(report.confusion, report.confusion.sum(1, keepdims=True)).tolist()
        parts += ["<br>", html_table(_confusion_rows(report, 16), "l" + "r" * k, shades=shades)]
    else:
        parts.append(f"<p>{'<br>'.join(map(escape, _mistaken(report)))}</p>")
    return "\n".join(parts)


def _mistaken(report: Any) -> list[str]:
    return [f"{truth} taken for {said}: {number(n)}" for truth, said, n in report.most_confused()]


def score_rows(classes: Any, counts: np.ndarray) -> list[list[str]]:
    """Scores by class, and their means; of many classes, those of the lowest F1.

    Args:
        classes: Their scores, in their order.
        counts: How much each counts in the macro mean.
    """
    rows, k = list(classes), len(classes)
    columns = [name for name in _COLUMNS if any(getattr(row, name) is not None for row in rows)]
    support = np.array([row.support for row in rows])
    means = [
        [name, *(_mean([getattr(row, column) for row in rows], weight) for column in columns)]
        for name, weight in (("macro mean", counts), ("weighted mean", support))
    ]
    if k > MANY:
        rows = sorted((row for row in rows if row.support), key=lambda row: row.f1)[:MANY]
    cells = [[short(row.name), *(getattr(row, column) for column in columns)] for row in rows]
    supports = [*(row.support for row in rows), *[float(support.sum())] * 2]
    return [
        ["class" if k <= MANY else f"worst of {k}", *map(_COLUMNS.get, columns), "support"],
        *(
            [name, *map(_score, scores), number(total)]
            for (name, *scores), total in zip([*cells, *means], supports, strict=True)
        ),
    ]


def _rows_of(report: Any) -> list[list[str]]:
    seen = report.confusion.sum(0) + report.confusion.sum(1) > 0
    return score_rows(report.per_class, seen)


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _mean(values: list[float | None], weight: np.ndarray) -> float | None:
    """The weighted mean of the values that there are."""
    there = np.array([value is not None for value in values])
    weight = (weight * there).astype(np.float64)
    if not weight.any():
        return None
    return float(np.average([value or 0.0 for value in values], weights=weight))


def _confusion_rows(report: Any, width: int = 8) -> list[list[str]]:
    counts = [[number(count) for count in row] for row in report.confusion]
    names = [short(name) for name in report.classes]
    heads = [short(name, width) for name in report.classes]
    rows = [[name, *row] for name, row in zip(names, counts, strict=True)]
    return [["truth \\ prediction", *heads], *rows]
