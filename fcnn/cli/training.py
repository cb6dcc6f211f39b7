"""``fcnn train``: data in, a folder with the network and its figures out."""

import argparse
import json
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from .. import models, optimizers, store, train
from ..extras import available
from .sources import FORMS, data_name, read_data


def add_commands(commands: Any) -> None:
    """Adds ``train``."""
    parser = commands.add_parser(
        "train",
        help="train a network and evaluate it",
        description="Trains a network, evaluates it once on the test data, and leaves in the "
        "folder --out: network.fcnn, history.csv, report.json, and with matplotlib history.png and "
        "confusion.png.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("data", nargs="?", default="digits", metavar="DATA", help=FORMS)
    parser.add_argument("--model", default="small_cnn", metavar="NAME", help="see: fcnn models")
    parser.add_argument(
        "--epochs", type=_positive, default=10, metavar="N", help="passes over the data"
    )
    parser.add_argument(
        "--batch-size", type=_positive, default=32, metavar="N", help="examples a step"
    )
    parser.add_argument("--learning-rate", type=_rate, default=1e-3, metavar="X", help="step size")
    parser.add_argument(
        "--optimizer", default="adam", choices=optimizers.names(), metavar="NAME",
        help=", ".join(optimizers.names()),
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="where all randomness comes from"
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder for the results (default: runs/DATA-MODEL-N)"
    )
    parser.add_argument("--json", action="store_true", help="print report.json on standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs ``fcnn train``."""
    begun = time.perf_counter()
    models.build(options.model)  # an unknown name is said before any data is read
    train_data, test_data = read_data(options.data)
    classes = len(train_data.classes) if train_data.classes else int(train_data.y.max()) + 1
    layer = models.build(options.model, classes=classes)
    out = _folder(options)
    try:
        network, history = train.fit(
            layer,
            train_data,
            optimizer=optimizers.named(options.optimizer, options.learning_rate),
            epochs=options.epochs,
            batch_size=options.batch_size,
            seed=options.seed,
        )
    except BaseException:
        if not any(out.iterdir()):
            out.rmdir()
        raise
    report = train.evaluate(network, test_data)
    settings = ("data", "model", "epochs", "batch_size", "learning_rate", "optimizer", "seed")
    results = {
        **report.to_json(),
        **{name: getattr(options, name) for name in settings},
        "seconds": round(time.perf_counter() - begun, 3),
        "versions": versions(),
    }
    store.save(out / "network.fcnn", network)
    history.write_csv(out / "history.csv")
    (out / "report.json").write_text(json.dumps(results, indent=2) + "\n")
    if available("matplotlib"):
        history.plot().savefig(out / "history.png", dpi=150)
        report.plot().savefig(out / "confusion.png", dpi=150)
    print(json.dumps(results) if options.json else report)
    left = ", ".join(sorted(file.name for file in out.iterdir()))
    print(f"\n{out}: {left}", file=sys.stderr)
    return 0


def versions() -> dict[str, str]:
    """What the figures were made with."""
    packages = ("fcnn", "jax", "jaxlib", "optax", "numpy")
    return {
        **{package: version(package) for package in packages},
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
    }


def _folder(options: argparse.Namespace) -> Path:
    """The folder asked for, or the next free one; made before hours are spent."""
    if options.out is not None:
        out = Path(options.out)
    else:
        name, n = f"{data_name(options.data)}-{options.model}", 1
        while (out := Path("runs") / f"{name}-{n}").exists():
            n += 1
    out.mkdir(parents=True, exist_ok=True)
    return out


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, got {value}")
    return value
