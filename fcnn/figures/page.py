"""A report as one page of HTML that asks for nothing: pictures, tables and style are in it."""

import base64
import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..tables import html_table, number
from .curves import precision_recall, reliability, roc
from .matrices import confusion
from .pictures import mistakes
from .scatters import predictions

_MANY = 20  # classes, beyond which the table of all is folded up
_PART, _NUMBER = "{:.2%}", "{:.4f}"
_FIGURES = {  # of any report: what stands above, what it is called, and how it is written
    "accuracy": ("accuracy", _PART),
    "subset_accuracy": ("all labels right", _PART),
    "balanced_accuracy": ("balanced accuracy", _PART),
    "iou": ("mean IoU", _NUMBER),
    "f1": ("F1, mean of classes", _NUMBER),
    "jaccard": ("Jaccard", _NUMBER),
    "matthews": ("Matthews", _NUMBER),
    "roc_auc": ("ROC AUC", _NUMBER),
    "average_precision": ("average precision", _NUMBER),
    "log_loss": ("log loss", _NUMBER),
    "brier": ("Brier", _NUMBER),
    "calibration_error": ("calibration error", _PART),
    "r2": ("R²", _NUMBER),
    "rmse": ("RMSE", "{:.4g}"),
    "mae": ("mean absolute error", "{:.4g}"),
}
_SCORES = {  # of a class
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "iou": "IoU",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
}
_DOTS, _INCH = 144, 84  # pixels of an inch: in the file, and on the page
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # asks for nothing
_STYLE = """
:root { color-scheme: light }
body { margin: 2rem auto; max-width: 68rem; padding: 0 1.5rem; color: #222; background: white;
       font: 16px/1.5 system-ui, sans-serif }
h1 { margin-bottom: 0; overflow-wrap: anywhere }
h2 { margin: 2.5rem 0 0.25rem; border-bottom: 1px solid #ddd }
p { margin: 0.25rem 0 1rem; max-width: 46rem; color: #555 }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 0.75rem }
dl div { padding: 0.6rem 0.9rem; border: 1px solid #ddd; border-radius: 6px }
dt { color: #555; font-size: 0.85rem }
dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums }
dd small { display: block; color: #555; font-size: 0.8rem }
img { max-width: 100%; height: auto }
table { font-size: 0.9rem }
.row { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start }
"""


def write_page(
    path: str | os.PathLike,
    report: Any,
    *,
    x: Any = None,
    title: str = "Evaluation",
    intervals: bool = True,
) -> None:
    """Writes a report as one file of HTML, to be opened, mailed or kept: it needs nothing else.

    It holds the figures with their intervals, the confusion matrix, scores by class, the curves,
    the reliability of the probabilities, the classes confused most and the worst mistakes; of
    numbers that were predicted, the figures and a plot. Names are escaped, and the page forbids
    itself any request.

    Example:
        >>> write_page("report.html", fcnn.evaluate(network, test), x=test)  # doctest: +SKIP

    Args:
        path: The file; one that is there is replaced.
        report: What ``evaluate`` found.
        x: The inputs, or their dataset; where they are pictures, the worst mistakes are shown.
        title: Stands above.
        intervals: Whether to compute intervals of 95 % confidence; a single example has none.
    """
    title = escape(_plain(title))
    with warnings.catch_warnings():  # a letter that the font lacks is in the tables all the same
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        body = "\n".join(_section(*section) for section in _sections(report, x))
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
{_headline(report, report.intervals() if intervals and report.n > 1 else {})}
{body}
</body>
</html>
"""
    Path(path).write_text(page, encoding="utf-8", newline="\n")


def _headline(report: Any, bounds: Mapping[str, tuple[float, float]]) -> str:
    """The figures, each with its interval."""
    about = f"{report.n:,} examples"
    about += f" of {len(report.classes):,} classes" if hasattr(report, "classes") else ""
    about += "" if report.loss is None else f", loss {report.loss:.4f}"
    about += "; below each figure its interval of 95 % confidence" if bounds else ""
    cards = []
    for name, (words, style) in _FIGURES.items():
        value = getattr(report, name, None)
        if value is not None:
            ends = " to ".join(map(style.format, bounds.get(name, ())))
            note = f"<small>{ends}</small>" if ends else ""
            cards.append(f"<div><dt>{words}</dt><dd>{style.format(value)}{note}</dd></div>")
    return "\n".join([f"<p>{about}</p>", "<dl>", *cards, "</dl>"])


def _sections(report: Any, x: Any) -> Iterator[tuple[str, str, str]]:
    """What the report has to show: heading, how to read what follows, content."""
    one_class, probabilities = hasattr(report, "confusion"), getattr(report, "probabilities", None)
    if one_class:
        yield (
            "Confusion",
            "Rows are the truth, columns what was predicted; what is right lies on the diagonal.",
            _image(confusion(report), "confusion matrix"),
        )
        if pairs := report.most_confused(10):
            rows = [["truth", "taken for", "times"], *([a, b, number(n)] for a, b, n in pairs)]
            yield "Confused most", "Pairs of classes, the worst first.", _table(rows, "llr")
    if hasattr(report, "per_class"):
        yield (
            "Classes",
            "Precision is how many of those said to be of a class are; recall is how many of a "
            "class are found; F1 is their harmonic mean; support is how many there are.",
            _scores(report.per_class),
        )
    if probabilities is not None and np.isfinite(probabilities).all():
        if report.roc_auc == report.roc_auc:  # there is one, for there is more than one class
            pair = (
                (roc(report), "ROC curves"),
                (precision_recall(report), "precision-recall curves"),
            )
            yield (
                "Thresholds",
                "What is found and what it costs, as a class is named on less and less evidence. "
                "The best corner is the upper left one of the left figure, the upper right one of "
                "the right.",
                f'<div class="row">{"".join(_image(*one) for one in pair)}</div>',
            )
        if one_class:
            yield (
                "Calibration",
                "On the diagonal probabilities mean what they say; below it they are too high.",
                _image(reliability(report), "reliability diagram"),
            )
            worst = "Wrong classes that were held most probable, the worst first."
            yield "Worst mistakes", worst, _mistakes(report, x)
    if hasattr(report, "outputs"):
        yield (
            "Predictions",
            "Each point is an example; on the diagonal it is predicted exactly.",
            _image(predictions(report), "predictions against the truth"),
        )


def _scores(classes: Sequence[Any]) -> str:
    """The table of classes; a long one shows the worst and is folded up."""
    columns = {
        key: name for key, name in _SCORES.items() if any(_known(row, key) for row in classes)
    }
    head = ["class", *columns.values(), "support"]
    sides = "l" + "r" * (len(head) - 1)

    def table(rows):
        cells = [
            [row.name, *(_score(row, key) for key in columns), number(row.support)] for row in rows
        ]
        return _table([head, *cells], sides)

    if len(classes) <= _MANY:
        return table(classes)
    worst = sorted((row for row in classes if row.support > 0), key=lambda row: row.f1)[:_MANY]
    return (
        f"<p>The {len(worst)} of the lowest F1:</p>{table(worst)}"
        f"<details><summary>all {len(classes):,}</summary>{table(classes)}</details>"
    )


def _known(row: Any, key: str) -> bool:
    return getattr(row, key) is not None


def _score(row: Any, key: str) -> str:
    return f"{getattr(row, key):.4f}" if _known(row, key) else "–"


def _mistakes(report: Any, x: Any) -> str:
    """Pictures, or where there are none a table."""
    worst = report.mistakes(16)
    if not worst:
        return f"<p>None in {report.n:,} examples.</p>"
    if x is not None and _are_pictures(x):
        return _image(mistakes(x, report), "the worst mistakes")
    rows = [[str(row.index), row.truth, row.prediction, f"{row.probability:.1%}"] for row in worst]
    return _table([["example", "truth", "taken for", "with"], *rows], "rllr")


def _are_pictures(x: Any) -> bool:
    first = x[:1]
    shape = np.shape(first[0] if isinstance(first, tuple) else first)
    return len(shape) == 4 and shape[-1] in (1, 3)


def _section(heading: str, explanation: str, content: str) -> str:
    return f"<section>\n<h2>{heading}</h2>\n<p>{explanation}</p>\n{content}\n</section>"


def _image(figure: Any, words: str) -> str:
    """A figure as a picture inside the page, with its size on paper."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DOTS)
    content = base64.b64encode(file.getvalue()).decode()
    width = round(figure.get_size_inches()[0] * _INCH)
    return f'<img src="data:image/png;base64,{content}" alt="{words}" width="{width}">'


def _table(rows: list[list[str]], sides: str) -> str:
    return html_table([[_plain(cell) for cell in row] for row in rows], sides)


def _plain(text: str) -> str:
    """Text without what no page may hold, such as control characters; not yet escaped."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
