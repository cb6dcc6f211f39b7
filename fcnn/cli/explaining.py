"""``fcnn explain``: pictures of what decisions rest on."""

import argparse
import json
from collections import Counter
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from .. import explain, figures, train
from ..core import Network
from ..extras import require
from .sources import read_inputs, read_network, say, white
from .using import said_of

METHODS = (
    *("saliency", "gradient_x_input", "smooth_grad", "var_grad", "integrated_gradients"),
    *("deep_lift", "guided_backprop", "deconvnet", "grad_cam", "grad_cam_plus_plus", "layer_cam"),
    *("guided_grad_cam", "score_cam", "occlusion", "feature_ablation", "lime", "kernel_shap"),
)
ALTERING = METHODS[-5:]  # these look at many alterations of an example, a full batch of them
_LISTED = 20  # classes in a message


def add_commands(commands: Any) -> None:
    """Adds ``explain``."""
    parser = commands.add_parser(
        "explain",
        help="pictures of what decisions rest on",
        description="Explains what a network says about pictures. Each is drawn beside the "
        "evidence in it, orange for a class and blue against it, and the map is written as an "
        "array.",
    )
    parser.add_argument("network", metavar="RUN", help="a folder of fcnn train, or a file .fcnn")
    parser.add_argument("files", nargs="+", metavar="FILE", help="pictures, or .npy files [n, ...]")
    parser.add_argument(
        "--method", choices=METHODS, default="grad_cam", metavar="NAME",
        help=f"{', '.join(METHODS)} (default: grad_cam)",
    )  # fmt: skip
    parser.add_argument(
        "--target", metavar="CLASS", help="the class to explain (default: the predicted one)"
    )
    parser.add_argument("--path", metavar="LAYER", help="for methods that look at one layer")
    parser.add_argument(
        "--out", default=".", metavar="PATH",
        help="folder for FILE-METHOD.png and .npy, or the name of one .png (default: here)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_explain)


def run_explain(options: argparse.Namespace) -> int:
    """Runs ``fcnn explain``: a line for each picture, with what is said and what is written."""
    require("matplotlib.pyplot", "plots")
    method = _method(options.method, options.path)
    network = read_network(options.network)
    target = None if options.target is None else _target(options.target, network)
    names, x = _examples(options.files, network)
    places = _places(options, names)
    predictions = train.predict(network, x)
    targets = predictions.argmax(-1) if target is None else np.full(len(x), target)
    maps = method(network, x, targets)
    if not (pictures := x.ndim == 4 and x.shape[-1] in (1, 3)):
        say(f"inputs {list(x.shape[1:])} are no pictures: only their maps are written")
    rows = []
    for i, place in enumerate(places):
        row = {"file": names[i], "method": options.method, **said_of(predictions[i], network)}
        row["target"] = _name(targets[i], network)
        place.parent.mkdir(parents=True, exist_ok=True)
        if pictures:
            title = f"{Path(names[i]).name}\n{_words(row)}"
            shown = {f"{options.method}\nfor {row['target']}": maps[i : i + 1]}
            drawn = figures.overlays(x[i : i + 1] / white(network), shown, [title])
            drawn.savefig(place, dpi=150)
            row["picture"] = str(place)
        np.save(place.with_suffix(".npy"), maps[i])
        row["map"] = str(place.with_suffix(".npy"))
        rows.append(row)
    if options.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        written = " and ".join(row[key] for key in ("picture", "map") if key in row)
        print(f"{row['file']}: {_words(row)}; {row['method']} for {row['target']} in {written}")
    return 0


def _method(name: str, path: str | None) -> Any:
    """The method ``(network, x, target) -> maps``, with the layer that it looks at.

    Raises:
        ValueError: it looks at none, but one is named.
    """
    method, options = getattr(explain, name), {}
    if path is not None:
        able = [each for each in METHODS if "path" in signature(getattr(explain, each)).parameters]
        if name not in able:
            raise ValueError(f"{name} looks at no layer; --path goes with {', '.join(able)}")
        options["path"] = path

    def explained(network: Network, x: np.ndarray, target: np.ndarray) -> np.ndarray:
        whole = {} if name in ALTERING else {"batch_size": min(len(x), 32)}
        return method(network, x, target, **options, **whole)

    return explained


def _target(text: str, network: Network) -> int:
    """The number of the output that is meant by the name of a class, or, without names, a number.

    Raises:
        ValueError: there is no such class.
    """
    if network.classes is None:
        if not text.isdecimal():
            raise ValueError(f"the classes have no names; --target must be a number, got {text!r}")
        return int(text)
    if text not in network.classes:
        some, more = network.classes[:_LISTED], len(network.classes) - _LISTED
        known = ", ".join(some) + (f" and {more:,} more" if more > 0 else "")
        raise ValueError(f"no class {text!r}; there are {known}")
    return network.classes.index(text)


def _examples(files: list[str], network: Network) -> tuple[list[str], np.ndarray]:
    """The examples of all files, each with its name."""
    names, parts = [], []
    for file in files:
        try:
            part = read_inputs(file, network)
            if not len(part):
                raise ValueError("there is no example in it")
            if parts and part.shape[1:] != parts[0].shape[1:]:
                raise ValueError(
                    f"{list(part.shape[1:])} is another size than {list(parts[0].shape[1:])}"
                )
        except ValueError as error:
            error.add_note(f"in {file}")
            raise
        parts.append(part)
        names += [file] if len(part) == 1 else [f"{file}[{i}]" for i in range(len(part))]
    return names, np.concatenate(parts)


def _places(options: argparse.Namespace, names: list[str]) -> list[Path]:
    """The pictures to write.

    Raises:
        ValueError: two examples would be written into one file.
    """
    out = Path(options.out)
    if out.suffix.lower() == ".png":
        if len(names) > 1:
            raise ValueError(f"{len(names)} examples do not fit into {out}; give --out a folder")
        return [out]
    stems = []
    for name in names:
        file, bracket, number = name.rpartition("[") if name.endswith("]") else (name, "", "")
        stem = Path(file).stem + (f"-{number[:-1]}" if bracket else "")
        stems.append(f"{stem}-{options.method}.png")
    again = [stem for stem, n in Counter(stems).items() if n > 1]
    if again:
        raise ValueError(f"two files would be explained in {out / again[0]}; rename one of them")
    return [out / stem for stem in stems]


def _name(target: int, network: Network) -> str:
    return str(target) if network.classes is None else network.classes[int(target)]


def _words(row: dict[str, Any]) -> str:
    """What is predicted, in a few words."""
    if "class" in row:
        return f"{row['class']} {row['probabilities'][row['class']]:.1%}"
    return "  ".join(f"{value:.4g}" for value in row["values"][:3])
