"""Medians side by side, the ratios of fcnn to the others, and their geometric means."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

UNITS = {"compile": "s", "epoch": "s"}
OWN = {"scan": "scan"}  # what the others are compared with, where it is not fcnn
TITLES = {
    "train": "Training step",
    "inference": "Inference",
    "compile": "Compilation of the training step (first call, less a later one)",
    "scan": "The same step in one program (lax.scan)",
    "ops forward": "Operations, forward",
    "ops both": "Operations, forward and backward",
    "epoch": "An epoch of MNIST through the loop of each framework, data included",
    "mlp": "An epoch of a small perceptron",
}


def table(rows: Sequence[Mapping[str, Any]], kind: str) -> str:
    """The rows of a kind: a line a case, a column a framework, then ``fcnn / other``."""
    own, rows = OWN.get(kind, "fcnn"), [row for row in rows if row["kind"] == kind]
    names = list(dict.fromkeys(row["framework"] for row in rows))
    others = [name for name in names if name != own] if own in names else []
    head = ["", *names, *(f"{own}/{name}" for name in others)]
    lines, ratios = [], {name: [] for name in others}
    for case, median in medians(rows).items():
        line = [case, *(number(median.get(name)) for name in names)]
        for name in others:
            ratio = median[own] / median[name] if median.get(name) and own in median else None
            line.append("-" if ratio is None else f"{ratio:.2f}")
            if ratio is not None:
                ratios[name].append(ratio)
        lines.append(line)
    if others and len(lines) > 1:
        means = [f"{geometric_mean(found):.2f}" if found else "-" for found in ratios.values()]
        lines.append(["geometric mean", *[""] * len(names), *means])
    title = f"{TITLES.get(kind, kind)}, {UNITS.get(kind, 'ms')}"
    return f"{title}\n{aligned([head, *lines])}"


def medians(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """``{case: {framework: median}}``, in the order of the rows."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        found.setdefault(row["case"], {})[row["framework"]] = row["median"]
    return found


def ratios(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``{kind: {other: {"cases": {case: ratio}, "geometric_mean": g}}}``."""
    result: dict[str, Any] = {}
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = OWN.get(kind, "fcnn")
        for case, median in medians([row for row in rows if row["kind"] == kind]).items():
            for name in median:
                if own in median and name != own and median[name]:
                    cell = result.setdefault(kind, {}).setdefault(name, {"cases": {}})
                    cell["cases"][case] = round(median[own] / median[name], 4)
    for others in result.values():
        for cell in others.values():
            cell["geometric_mean"] = round(geometric_mean(list(cell["cases"].values())), 4)
    return result


def disagreements(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The cases whose models have not as many parameters in all frameworks."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        if row.get("parameters"):
            counts.setdefault(row["case"], {})[row["framework"]] = row["parameters"]
    return [
        f"{case}: parameters differ, {', '.join(f'{n} {c:,}' for n, c in found.items())}"
        for case, found in counts.items()
        if len(set(found.values())) > 1
    ]


def geometric_mean(numbers: Sequence[float]) -> float:
    """Zero if one of them is: a program that compiled in less time than its later step varies."""
    if 0 in numbers:
        return 0.0
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


def number(value: float | None) -> str:
    """Three digits that count, and no more decimals than that takes."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
