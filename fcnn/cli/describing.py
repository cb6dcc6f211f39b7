"""``fcnn summary`` and ``models``: what there is, before anything is trained."""

import argparse
import json
from typing import Any

import jax

from .. import models
from ..summaries import summary


def add_commands(commands: Any) -> None:
    """Adds ``summary`` and ``models``."""
    parser = commands.add_parser("summary", help="layers, parameters and cost of a model")
    parser.add_argument("model", metavar="MODEL", help="see: fcnn models")
    parser.add_argument(
        "--input", type=_shape, default="32,32,3", metavar="H,W,C", help="one example"
    )
    parser.add_argument("--classes", type=int, default=10, metavar="N", help="outputs")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_summary)

    parser = commands.add_parser("models", help="names of the models")
    parser.add_argument(
        "pattern", nargs="?", default="*", metavar="PATTERN", help="such as 'resnet*'"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_models)


def run_summary(options: argparse.Namespace) -> int:
    """Runs ``fcnn summary``."""
    layer = models.build(options.model, classes=options.classes)
    table = summary(layer, jax.ShapeDtypeStruct((1, *options.input), "float32"))
    if options.json:
        rows = [row._asdict() for row in table.rows]
        totals = {"params": table.params, "macs": table.macs, "flops": table.flops}
        print(json.dumps({**totals, "rows": rows}))
    else:
        print(table)
    return 0


def run_models(options: argparse.Namespace) -> int:
    """Runs ``fcnn models``: a name and its first sentence in each line."""
    names = models.names(options.pattern)
    if not names:
        raise ValueError(
            f"no model matches {options.pattern!r}; there are {', '.join(models.names())}"
        )
    first = {name: (getattr(models, name).__doc__ or "").strip().splitlines()[0] for name in names}
    if options.json:
        print(json.dumps(first))
        return 0
    width = max(map(len, names))
    for name, text in first.items():
        print(f"{name:{width}}  {text}")
    return 0


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(size) for size in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"must be sizes such as 28,28,1, got {text!r}")
    return shape
