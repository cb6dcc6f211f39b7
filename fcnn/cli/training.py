"""``fcnn train``: data in, a folder with the network and its figures out."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax

from .. import augment, data, models, optimizers, store, train
from ..core import Layer, serial
from ..data import Dataset
from ..extras import available
from ..layers import rescale
from ..store.manifest import versions
from . import arguments
from .sources import FORMS, WHITE, are_pictures, count_classes, data_name, halves, read_data, say

NO_PICTURES = {"size": None, "mode": "rgb", "on_error": "raise"}  # the options of picture files


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
        "--epochs", type=arguments.count, default=10, metavar="N", help="passes over the data"
    )
    parser.add_argument(
        "--batch-size", type=arguments.count, default=32, metavar="N", help="examples a step"
    )
    parser.add_argument(
        "--learning-rate", type=arguments.rate, default=1e-3, metavar="X", help="step size"
    )
    parser.add_argument(
        "--optimizer", default="adam", choices=optimizers.names(), metavar="NAME",
        help=", ".join(optimizers.names()),
    )  # fmt: skip
    parser.add_argument(
        "--augment", default="none", choices=augment.names(), metavar="NAME",
        help=f"change the pictures at random while training: {', '.join(augment.names())}",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=arguments.size, default=argparse.SUPPRESS, metavar="N",
        help="height and width of picture files, N or H,W (default: theirs, if all have one)",
    )  # fmt: skip
    parser.add_argument(
        "--mode", default="rgb", choices=["rgb", "gray"], help="colours of picture files"
    )
    arguments.add_on_error(parser)
    parser.add_argument(
        "--seed", type=arguments.seed, default=0, metavar="N",
        help="where all randomness comes from",
    )  # fmt: skip
    parser.add_argument(
        "--out", default=argparse.SUPPRESS, metavar="DIR",
        help="folder for the results (default: runs/DATA-MODEL-N)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print report.json on standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs ``fcnn train``."""
    begun = time.perf_counter()
    models.build(options.model)  # an unknown name is said before any data is read
    pictures = {name: getattr(options, name, None) for name in NO_PICTURES}
    if not are_pictures(options.data) and pictures != NO_PICTURES:
        raise ValueError(f"--size, --mode and --on-error are for picture files, not {options.data}")
    train_data, test_data = halves(read_data(options.data, **pictures))
    test_data = data.readable(test_data)  # before hours are spent
    layer = _layer(options.model, train_data, test_data)
    out = _folder(options)
    say(f"{options.model} on {options.data}, into {out}")
    try:
        network, history = train.fit(
            layer,
            train_data,
            optimizer=optimizers.named(options.optimizer, options.learning_rate),
            epochs=options.epochs,
            batch_size=options.batch_size,
            augment=None if options.augment == "none" else augment.recipe(options.augment),
            seed=options.seed,
        )
    except BaseException:
        if not any(out.iterdir()):
            out.rmdir()
        raise
    store.save(out / "network.fcnn", network)  # first of all: what follows can be had again
    history.write_csv(out / "history.csv")
    report = train.evaluate(network, test_data)
    settings = (
        "data", "size", "mode", "on_error", "model", "epochs", "batch_size", "learning_rate",
        "optimizer", "augment", "seed",
    )  # fmt: skip
    results = {
        **report.to_json(),
        **{name: getattr(options, name, None) for name in settings},
        "seconds": round(time.perf_counter() - begun, 3),
        "versions": {**versions(), "device": jax.devices()[0].device_kind},
    }
    (out / "report.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results) if options.json else report, flush=True)
    if available("matplotlib"):
        history.plot().savefig(out / "history.png", dpi=150)
        report.plot().savefig(out / "confusion.png", dpi=150)
    say(f"\n{out}: {', '.join(sorted(file.name for file in out.iterdir()))}")
    return 0


def _layer(model: str, *parts: Dataset) -> Layer:
    """The model for this data; one for pictures of integers begins by bringing them to [0, 1]."""
    layer = models.build(model, classes=count_classes(*parts))
    dtype = parts[0].x.dtype
    if dtype.kind not in "iu":
        return layer
    say(f"x holds {dtype}: the network begins with a division by {WHITE}")
    return serial(rescale(1 / WHITE), layer)


def _folder(options: argparse.Namespace) -> Path:
    """The folder asked for, or the next free one; made before hours are spent."""
    if "out" in options:
        out = Path(options.out)
    else:
        name, n = f"{data_name(options.data)}-{options.model}", 1
        while (out := Path("runs") / f"{name}-{n}").exists():
            n += 1
    out.mkdir(parents=True, exist_ok=True)
    return out
