"""``fcnn evaluate``, ``predict`` and ``explain``: a trained network at work."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from .. import data, explain, train
from ..core import Network
from ..extras import require
from .sources import FORMS, read_data, read_network

METHODS = ("grad_cam", "saliency")


def add_commands(commands: Any) -> None:
    """Adds ``evaluate``, ``predict`` and ``explain``."""
    parser = commands.add_parser("evaluate", help="figures of a network on test data")
    parser.add_argument("network", metavar="RUN", help="a folder of fcnn train, or a file .fcnn")
    parser.add_argument("data", nargs="?", default="digits", metavar="DATA", help=FORMS)
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


def run_evaluate(options: Any) -> int:
    """Runs ``fcnn evaluate``."""
    network = read_network(options.network)
    _, test = read_data(options.data)
    report = train.evaluate(network, test)
    print(json.dumps(report.to_json()) if options.json else report)
    return 0


def run_predict(options: Any) -> int:
    """Runs ``fcnn predict``: a line for each picture, with its three likeliest classes."""
    network = read_network(options.network)
    rows = []
    for file in options.files:
        predictions = train.predict(network, read_inputs(file, network))
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


def run_explain(options: Any) -> int:
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
    picture = x[0] if x.shape[-1] == 3 else x[0, ..., 0]
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


def read_inputs(file: str, network: Network) -> np.ndarray:
    """The examples of a file as the network takes them: ``[n, ...]``."""
    if file.endswith(".npy"):
        x = np.load(file, allow_pickle=False)
        one = network.input is not None and x.ndim == len(network.input.shape)
        return x[None] if one else x
    if network.input is None or len(network.input.shape) != 3:
        raise ValueError(f"{file}: the network does not take pictures; give it .npy files")
    height, width, channels = network.input.shape
    return data.picture(file, size=(height, width), channels=channels)[None]


def _said(values: np.ndarray, network: Network) -> dict[str, Any]:
    values = np.asarray(values, np.float64).reshape(-1)
    if network.output == "softmax" and network.classes is not None:
        probabilities = dict(zip(network.classes, map(float, values), strict=True))
        return {"class": network.classes[int(values.argmax())], "probabilities": probabilities}
    return {"values": values.tolist()}
