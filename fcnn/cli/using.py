"""``fcnn evaluate``, ``predict`` and ``explain``: a trained network at work."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from .. import explain, train
from ..core import Network
from ..extras import require
from . import arguments
from .sources import (
    FORMS,
    data_of,
    halves,
    pictures_for,
    read_data,
    read_inputs,
    read_network,
    say,
    white,
)

METHODS = ("grad_cam", "saliency")


def add_commands(commands: Any) -> None:
    """Adds ``evaluate``, ``predict`` and ``explain``."""
    parser = commands.add_parser(
        "evaluate",
        help="figures of a network on test data",
        description="Evaluates a network on the test half of the data, or on all of it if it is "
        "named here and has no halves.",
    )
    parser.add_argument("network", metavar="RUN", help="a folder of fcnn train, or a file .fcnn")
    parser.add_argument("data", nargs="?", metavar="DATA", help=f"{FORMS} (default: that of RUN)")
    arguments.add_on_error(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_evaluate)

    parser = commands.add_parser("predict", help="classes of pictures or arrays")
    parser.add_argument("network", metavar="RUN", help="a folder of fcnn train, or a file .fcnn")
    parser.add_argument("files", nargs="+", metavar="FILE", help="pictures, or .npy files [n, ...]")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_predict)

    parser = commands.add_parser("explain", help="a picture of what a decision rests on")
    parser.add_argument("network", metavar="RUN", help="a folder of fcnn train, or a file .fcnn")
    parser.add_argument("file", metavar="FILE", help="a picture, or an .npy file with one example")
    parser.add_argument("--method", choices=METHODS, default="grad_cam", help="how to explain")
    parser.add_argument(
        "--target", metavar="CLASS", help="the class to explain (default: predicted)"
    )
    parser.add_argument("--out", metavar="PNG", help="where to draw (default: FILE-METHOD.png)")
    parser.set_defaults(run=run_explain)


def run_evaluate(options: argparse.Namespace) -> int:
    """Runs ``fcnn evaluate``."""
    network = read_network(options.network)
    source = options.data or data_of(options.network)
    found = read_data(source, **pictures_for(network), on_error=options.on_error)
    if options.data and not isinstance(found, tuple):  # not seen in training: all of it is test
        test = found
        say(f"all of {source}")
    else:
        _, test = halves(found)
        say(f"test data of {source}")
    report = train.evaluate(network, test)
    print(json.dumps(report.to_json()) if options.json else report)
    return 0


def run_predict(options: argparse.Namespace) -> int:
    """Runs ``fcnn predict``: a line for each picture, with its three likeliest classes."""
    network = read_network(options.network)
    rows = []
    for file in options.files:
        try:
            predictions = train.predict(network, read_inputs(file, network))
        except ValueError as error:
            error.add_note(f"in {file}")
            raise
        for number, values in enumerate(predictions):
            name = file if len(predictions) == 1 else f"{file}[{number}]"
            rows.append({"file": name, **_said(values, network)})
    if options.json:
        print(json.dumps(rows))
        return 0
    width = max(len(row["file"]) for row in rows) if rows else 0
    for row in rows:
        if "probabilities" in row:
            best = sorted(row["probabilities"].items(), key=lambda item: -item[1])[:3]
            said = "  ".join(f"{name} {value:.1%}" for name, value in best)
        else:
            said = "  ".join(f"{value:.6g}" for value in row["values"])
        print(f"{row['file']:{width}}  {said}")
    return 0


def run_explain(options: argparse.Namespace) -> int:
    """Runs ``fcnn explain``."""
    plt = require("matplotlib.pyplot", "plots")
    network = read_network(options.network)
    x = read_inputs(options.file, network)[:1]
    classes = network.classes or ()
    if options.target is not None and options.target not in classes:
        raise ValueError(f"no class {options.target!r}; there are {', '.join(classes)}")
    probabilities = train.predict(network, x)[0]
    target = (
        classes.index(options.target) if options.target is not None else int(probabilities.argmax())
    )
    heat = getattr(explain, options.method)(network, x, target)[0]

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6), layout="constrained")
    picture = (x[0] if x.shape[-1] == 3 else x[0, ..., 0]) / white(network)
    left.imshow(picture, cmap="gray", vmin=0, vmax=1)
    left.set_title(Path(options.file).name)
    right.imshow(picture, cmap="gray", vmin=0, vmax=1)
    right.imshow(heat, cmap="inferno", alpha=0.6)
    name = classes[target] if classes else target
    right.set_title(f"{options.method} for {name} ({probabilities[target]:.1%})")
    for ax in (left, right):
        ax.set_axis_off()
    out = options.out or f"{Path(options.file).stem}-{options.method}.png"
    figure.savefig(out, dpi=150)
    plt.close(figure)
    print(out)
    return 0


def _said(values: np.ndarray, network: Network) -> dict[str, Any]:
    values = np.asarray(values, np.float64).reshape(-1)
    if network.output == "softmax" and network.classes is not None:
        probabilities = dict(zip(network.classes, map(float, values), strict=True))
        return {"class": network.classes[int(values.argmax())], "probabilities": probabilities}
    return {"values": values.tolist()}
