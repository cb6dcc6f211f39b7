"""``fcnn summary`` and ``models``: what there is, before anything is trained."""

import argparse
import json
from typing import Any

import jax

from .. import models
from ..summaries import Summary, summary
from .arguments import count, shape


def add_commands(commands: Any) -> None:
    """Adds ``summary`` and ``models``."""
    parser = commands.add_parser(
        "summary",
        help="layers, parameters and cost of a model",
        description="Shapes, parameters, multiply-adds and receptive fields of a model, layer by "
        "layer, before anything is trained.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="see: fcnn models")
    parser.add_argument(
        "--input", type=shape, default="32,32,3", metavar="H,W,C", help="sizes of one example"
    )
    parser.add_argument("--classes", type=count, default=10, metavar="N", help="outputs")
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
    table = _table(options)
    if options.json:
        rows = [{**row._asdict(), "flops": row.flops} for row in table.rows]
        names = ("params", "macs", "flops", "memory")
        print(json.dumps({**{name: getattr(table, name) for name in names}, "rows": rows}))
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
        print(f"{name:{width}}  {text.replace('``', '')}")
    return 0


def _table(options: argparse.Namespace) -> Summary:
    """The summary; where there is none, the error says what was asked for."""
    layer = models.build(options.model, classes=options.classes)
    example = jax.ShapeDtypeStruct((1, *options.input), "float32")
    try:
        return summary(layer, example)
    except (ValueError, TypeError) as error:
        given = ",".join(map(str, options.input))
        if len(options.input) != 3:
            raise ValueError(
                f"{options.model} cannot take an input of {given}; models take pictures: "
                "height, width and channels, such as --input 32,32,3"
            ) from error
        error.add_note(f"in {options.model} for an input of {given}")
        raise
