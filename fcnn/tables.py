"""Tables of strings: aligned text for a terminal, HTML for a notebook.

A table is a list of rows of equal length, the first of them the head. ``sides`` has a letter for
each column, ``l`` or ``r`` for the side its cells stand on; the last ``foot`` rows sum up the rest.
"""

from collections.abc import Sequence
from html import escape

Rows = Sequence[Sequence[str]]

_ALIGN = {"l": "left", "r": "right"}
_TABLE = "border-collapse: collapse; font-variant-numeric: tabular-nums"
_CELL = "padding: 0.2em 0.7em; white-space: nowrap"


def text_table(rows: Rows, sides: str, *, foot: int = 0) -> str:
    """The table as text; where it has a foot, lines set head and foot apart.

    Example:
        >>> rows = [["layer", "parameters"], ["conv", "40"], ["dense", "650"], ["total", "690"]]
        >>> print(text_table(rows, "lr", foot=1))
        layer  parameters
        -----------------
        conv           40
        dense         650
        -----------------
        total         690
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths, sides) for row in rows]
    if not foot:
        return "\n".join(lines)
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([lines[0], rule, *lines[1:-foot], rule, *lines[-foot:]])


def html_table(
    rows: Rows, sides: str, *, foot: int = 0, shades: Sequence[Sequence[float]] | None = None
) -> str:
    """The table as HTML that needs no style sheet and is at home on light and on dark pages.

    Example:
        >>> print(html_table([["class", "n"], ["<b>", "2"]], "lr"))
        <table style="...">
        <thead style="border-bottom: 1px solid">
        <tr><th style="...">class</th><th style="...">n</th></tr>
        </thead>
        <tbody>
        <tr><th style="...">&lt;b&gt;</th><td style="...">2</td></tr>
        </tbody>
        </table>

    Args:
        rows: The head and the rows; their text is escaped.
        sides: ``l`` or ``r`` for each column.
        foot: How many of the last rows are set apart.
        shades: How deep the background is, from 0 to 1, of each cell between head and foot, the
            first column left out.
    """
    end = len(rows) - foot
    plain = [0.0] * len(sides)
    depths = [plain] * (end - 1) if shades is None else [[0.0, *shade] for shade in shades]
    lines = [
        f'<table style="{_TABLE}">',
        '<thead style="border-bottom: 1px solid">',
        _html_row(rows[0], sides, plain, heads=len(sides)),
        "</thead>",
        "<tbody>",
        *(_html_row(row, sides, deep) for row, deep in zip(rows[1:end], depths, strict=True)),
        "</tbody>",
    ]
    if foot:
        total = [_html_row(row, sides, plain) for row in rows[end:]]
        lines += ['<tfoot style="border-top: 1px solid">', *total, "</tfoot>"]
    return "\n".join([*lines, "</table>"])


def short(name: str, width: int = 24) -> str:
    """The name on one line, cut where it is wider.

    Example:
        >>> short("great white shark", 12)
        'great white…'
    """
    name = " ".join(name.split())
    return name if len(name) <= width else f"{name[: width - 1].rstrip()}…"


def number(value: float, digits: int = 6) -> str:
    """A count in full, any other number to so many digits.

    Example:
        >>> number(1234567), number(12.3456789)
        ('1,234,567', '12.3457')
    """
    return f"{value:,.{digits}g}" if value % 1 else f"{value:,.0f}"


def amount(size: float) -> str:
    """Bytes, in the largest unit of which there is one.

    Example:
        >>> amount(999), amount(4_194_304)
        ('999 bytes', '4.2 MB')
    """
    thousands = min((len(str(int(size))) - 1) // 3, 4)
    if not thousands:
        return f"{size:,.0f} bytes"
    return f"{size / 1000**thousands:,.1f} {('kB', 'MB', 'GB', 'TB')[thousands - 1]}"


def _line(row: Sequence[str], widths: Sequence[int], sides: str) -> str:
    columns = zip(row, widths, sides, strict=True)
    cells = (cell.ljust(n) if side == "l" else cell.rjust(n) for cell, n, side in columns)
    return "  ".join(cells).rstrip()


def _html_row(row: Sequence[str], sides: str, depths: Sequence[float], *, heads: int = 1) -> str:
    cells = []
    for i, (cell, side, depth) in enumerate(zip(row, sides, depths, strict=True)):
        tag = "th" if i < heads else "td"
        style = f"text-align: {_ALIGN[side]}; {_CELL}"
        if depth:
            style += f"; background: rgba(31, 119, 180, {0.6 * depth:.2f})"
        cells.append(f'<{tag} style="{style}">{escape(cell)}</{tag}>')
    return f"<tr>{''.join(cells)}</tr>"
