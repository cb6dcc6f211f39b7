"""What all figures share: axes given or new, colours, and names drawn as they are.

Colours are those of Okabe and Ito (2008), which people with any kind of colour vision tell apart.
"""

from typing import Any

from ..extras import require
from ..tables import short

BLUE, ORANGE = "#0072b2", "#d55e00"
COLOURS = (BLUE, ORANGE, "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "black")


def axes(ax: Any, width: float, height: float) -> Any:
    """The axes given, or those of a new figure of so many inches."""
    return new_figure(width, height, "compressed").add_subplot() if ax is None else ax


def new_figure(width: float, height: float, layout: str | None = None) -> Any:
    """A figure of so many inches that no window and no list keeps."""
    plt = require("matplotlib.pyplot", "plots")
    plt.draw_if_interactive()  # loads the backend, from which a notebook learns to show figures
    return plt.Figure(figsize=(width, height), layout=layout)


def tidy(ax: Any) -> None:
    """A light grid, and no frame at the top and the right."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    ax.grid(alpha=0.3)


def words(name: Any, width: int = 24) -> str:
    r"""A name as matplotlib draws it: on one line, cut, and never taken for mathematics.

    Example:
        >>> print(words("cost in $ or\n$x^2$"))
        cost in \$ or \$x^2\$
    """
    line = " ".join(str(name).split())
    line = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line
    )
    return short(line, width).replace("$", r"\$")
