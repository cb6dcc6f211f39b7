"""``fcnn evaluate`` and ``predict``: a trained network at work."""

import argparse
import json
from typing import Any

import numpy as np

from .. import figures, train
from ..core import Network
from ..data.loading import readable
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
)


def add_commands(commands: Any) -> None:
    """Adds ``evaluate`` and ``predict``."""
    parser = commands.add_parser(
        "evaluate",
        help="figures of a network on test data",
        description="Evaluates a network on the test half of the data, or on all of it if it is "
        "named here and has no halves.",
    )
    parser.add_argument("network", metavar="RUN", help="a folder of fcnn train, or a file .fcnn")
    parser.add_argument("data", nargs="?", metavar="DATA", help=f"{FORMS} (default: that of RUN)")
    arguments.add_on_error(parser)
    parser.add_argument(
        "--intervals", action="store_true", help="how sure each figure is: 95 %% of a bootstrap"
    )
    parser.add_argument(
        "--html", metavar="FILE", help="write a page with all figures, curves and mistakes"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_evaluate)

    parser = commands.add_parser("predict", help="classes of pictures or arrays")
    parser.add_argument("network", metavar="RUN", help="a folder of fcnn train, or a file .fcnn")
    parser.add_argument("files", nargs="+", metavar="FILE", help="pictures, or .npy files [n, ...]")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_predict)


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
    if options.html:
        require("matplotlib", "plots")  # before an hour of evaluation
        test = readable(test, say=say)  # so that mistakes are found by their number
    report = train.evaluate(network, test)
    intervals = report.intervals() if options.intervals else None
    if options.json:
        more = {} if intervals is None else {"intervals": intervals.to_json()}
        print(json.dumps({**report.to_json(), **more}))
    else:
        print(report if intervals is None else f"{report}\n\n{intervals}")
    if options.html:
        title = f"{options.network} on {test.name}"
        figures.write_page(options.html, report, x=test, title=title)
        say(f"\n{options.html}")
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
            rows.append({"file": name, **said_of(values, network)})
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


def said_of(values: np.ndarray, network: Network) -> dict[str, Any]:
    """What is predicted of an example: its class and all probabilities by name, or values."""
    values = np.asarray(values, np.float64).reshape(-1)
    if network.output == "softmax" and network.classes is not None:
        probabilities = dict(zip(network.classes, map(float, values), strict=True))
        return {"class": network.classes[int(values.argmax())], "probabilities": probabilities}
    return {"values": values.tolist()}
