"""Many pictures in one pair of axes, which is drawn faster than axes for each."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .axes import new_figure, words

_GAP = 0.06
_SIZE = 8  # of letters, in points
_LINE = 1.3 * _SIZE / 72  # inches
_LETTER = 0.52 * _SIZE / 72  # inches, about


def draw_tiles(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str] | None,
    columns: int,
    *,
    head: str = "",
    gap: float = _GAP,
    frame: bool = False,
    ax: Any = None,
) -> Any:
    """Draws pictures of one size row by row, each below its title; returns the figure.

    Args:
        pictures: Colours, ``[h, w, 3]`` each, at least one.
        titles: Of each picture, one line or several, cut where they are wider than it is.
        columns: How many stand in a row.
        head: What stands above them all.
        gap: Between pictures, in widths of a picture.
        frame: Whether each has a thin line around it.
        ax: Where to draw; None makes a figure.
    """
    tall = pictures[0].shape[0] / pictures[0].shape[1]
    rows = -(-len(pictures) // columns)
    lines = max((title.count("\n") + 1 for title in titles or () if title), default=0)
    span = columns + gap * (columns - 1)
    side = _room(ax, span, rows * tall) if ax is not None else _side(columns, lines)
    above = _LINE * lines / side + gap
    depth = rows * (tall + above)
    if ax is None:
        top = 0.32 if head else 0.02  # inches
        ax = _fitting_axes(span * side, depth * side, top)
    ax.set(xlim=(0, span), ylim=(depth, 0), aspect="equal")
    ax.set_axis_off()
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        x, y = column * (1 + gap), row * (tall + above) + above
        ax.imshow(picture, extent=(x, x + 1, y + tall, y), aspect="equal")
        if frame:
            edge = [x, x + 1, x + 1, x, x], [y, y, y + tall, y + tall, y]
            ax.plot(*edge, color="gray", linewidth=0.5, clip_on=False)
        if titles is not None and titles[i]:
            text = "\n".join(words(line, int(side / _LETTER)) for line in titles[i].split("\n"))
            ax.text(x, y - 0.25 * _LINE / side, text, fontsize=_SIZE, va="bottom", linespacing=1.15)
    ax.set(xlim=(0, span), ylim=(depth, 0))  # imshow has moved them
    if head:
        ax.set_title(head, fontsize=10, loc="left")
    return ax.figure


def columns_for(n: int, most: int = 8) -> int:
    """How many of n pictures stand in a row, so that the rows are about equally full.

    Example:
        >>> [columns_for(n) for n in (1, 5, 8, 9, 16, 17)]
        [1, 5, 8, 5, 8, 6]
    """
    return math.ceil(n / math.ceil(n / most))


def _side(columns: int, lines: int) -> float:
    """Width of a picture in inches: titles need room, and many pictures a page of 10 inches."""
    return min(max(1.25 if lines else 0.9, 6 / columns), 10 / columns, 3)


def _room(ax: Any, span: float, height: float) -> float:
    """Width of a picture in inches in axes as large as those given."""
    place, (width, tall) = ax.get_position(), ax.figure.get_size_inches()
    return max(min(place.width * width / span, place.height * tall / height), 0.05)


def _fitting_axes(width: float, height: float, top: float) -> Any:
    """Axes of a new figure that has nothing beside them; inches."""
    edge = 0.05
    whole = width + 2 * edge, height + top + edge
    sides = edge / whole[0], edge / whole[1], width / whole[0], height / whole[1]
    return new_figure(*whole).add_axes(sides)
