"""``fcnn search``: the same training with other options, and the best of it."""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from .. import augment, data, models, optimizers, store, study, train
from ..data import Dataset
from ..store.locks import locked
from ..study.labs import plan_of
from ..study.spaces import Range
from . import arguments
from .beginning import fresh
from .sources import FORMS, are_pictures, data_name, halves, read_data, say

OF_TRAINING = ("learning_rate", "weight_decay", "optimizer", "batch_size", "augment")
HELD_OUT = 0.2  # of the training data: what decides; the test data is looked at once, at the end


def add_commands(commands: Any) -> None:
    """Adds ``search``."""
    parser = commands.add_parser(
        "search",
        help="find the options with which a network learns best",
        description="Trains a model with several options, judges each by a fifth of the training "
        "data that is held out, and evaluates the best network once on the test data. Leaves in "
        "the folder --out: a folder for each trial, results.csv, network.fcnn and report.json. "
        "Called again with the same --out, it goes on where it was interrupted.",
    )
    parser.add_argument("data", nargs="?", default="digits", metavar="DATA", help=FORMS)
    parser.add_argument(
        "--try", dest="space", action="append", type=_choice, required=True, metavar="NAME=VALUES",
        help="an option and its values, such as learning_rate=1e-3,1e-2 or a range to draw from, "
        f"learning_rate=1e-4:1e-1:log; {', '.join(OF_TRAINING)}, or an option of the model; "
        "may be given several times",
    )  # fmt: skip
    parser.add_argument("--model", default="small_cnn", metavar="NAME", help="see: fcnn models")
    parser.add_argument(
        "--n", type=arguments.count, metavar="N",
        help="draw so many at random; by default every combination is tried",
    )  # fmt: skip
    parser.add_argument("--epochs", type=arguments.count, default=10, metavar="N")
    parser.add_argument(
        "--score", metavar="NAME", help="what decides (default: validation_loss at its best epoch)"
    )
    parser.add_argument(
        "--size", type=arguments.size, metavar="N", help="height and width of picture files"
    )
    parser.add_argument("--mode", default="rgb", choices=["rgb", "gray"])
    arguments.add_on_error(parser)
    parser.add_argument("--seed", type=arguments.seed, default=0, metavar="N")
    parser.add_argument("--out", metavar="DIR", help="folder (default: runs/search-DATA-MODEL-N)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs ``fcnn search``."""
    space = dict(options.space)
    if len(space) < len(options.space):
        raise ValueError("an option is given twice; write all its values in one --try")
    ranges = [name for name, values in space.items() if isinstance(values, Range)]
    if ranges and options.n is None:
        raise ValueError(f"{ranges[0]} is a range to draw from: say how often, --n 20")
    models.build(options.model)  # an unknown name is said before any data is read
    pictures = {"size": options.size, "mode": options.mode, "on_error": options.on_error}
    train_data, test_data = halves(
        read_data(options.data, **(pictures if are_pictures(options.data) else {}))
    )
    learned, judge = data.split(train_data, HELD_OUT, seed=options.seed)
    test_data = data.readable(test_data)

    def trial(seed: int, checkpoint: Path, **chosen: Any) -> Any:
        return _trained(options, learned, judge, test_data, seed, checkpoint, chosen)

    out = Path(options.out) if options.out else _free(options)
    out.mkdir(parents=True, exist_ok=True)
    common = {"folder": out, "seed": options.seed, "score": options.score, "on_error": "record"}
    with locked(out):
        plan_of(out, _fixed(options), "options.json")
        if options.n is None:
            results = study.grid_search(trial, space, **common)
        else:
            results = study.random_search(trial, space, n=options.n, **common)
        best = results.best
        report = train.evaluate(results.network, test_data)
        store.save(out / "network.fcnn", results.network)
        found = {"best": best.options, "score": best.score, "test": report.to_json()}
        (out / "report.json").write_text(json.dumps(found, indent=2) + "\n")
        rows = results.rows
        with open(out / "results.csv", "w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    if options.json:
        print(json.dumps({**found, "trials": results.to_json()}))
    else:
        print(f"{results}\n\nthe best, on the test data:\n{report}")
    say(f"\n{out}: network.fcnn, report.json, results.csv, {len(results)} trials")
    return 0


def _fixed(options: argparse.Namespace) -> dict[str, Any]:
    """What all trials share, and a folder is therefore for."""
    names = ("model", "epochs", "size", "mode")
    path = Path(options.data)
    source = str(path.resolve()) if path.exists() else options.data
    return {"data": source, **{name: getattr(options, name) for name in names}}


def _trained(
    options: argparse.Namespace,
    learned: Dataset,
    judge: Dataset,
    test_data: Dataset,
    seed: int,
    checkpoint: Path,
    chosen: dict[str, Any],
) -> Any:
    """One training with the options chosen."""
    of = {name: chosen.pop(name) for name in OF_TRAINING if name in chosen}
    decay = {"weight_decay": of["weight_decay"]} if "weight_decay" in of else {}
    rate = of.get("learning_rate", 1e-3)
    recipe = of.get("augment", "none")
    return train.fit(
        fresh(options.model, learned, test_data, **chosen),
        learned,
        validation=judge,
        optimizer=optimizers.named(of.get("optimizer", "adam"), rate, **decay),
        epochs=options.epochs,
        batch_size=of.get("batch_size", 32),
        augment=None if recipe == "none" else augment.recipe(recipe),
        patience=options.epochs,
        seed=seed,
        checkpoint=checkpoint,
        progress=False,
    )


def _choice(text: str) -> tuple[str, Any]:
    """An option and what to try for it."""
    name, equals, values = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name.isidentifier() or not values:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUES, got {text!r}")
    if ":" not in values:
        return name, [_value(each.strip()) for each in values.split(",")]
    try:
        low, high, *scale = values.split(":")
        low, high = _value(low), _value(high)
        numbers = all(isinstance(end, int | float) for end in (low, high))
        if scale not in ([], ["log"]) or not numbers:
            raise ValueError("write LOW:HIGH or LOW:HIGH:log")
        whole = isinstance(low, int) and isinstance(high, int)
        return name, Range(low, high, log=bool(scale), whole=whole)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def _value(text: str) -> Any:
    """A number, true, false, none, or the text itself."""
    words = {"true": True, "false": False, "none": None}
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if not np.isfinite(number):
            raise argparse.ArgumentTypeError(f"{text!r} is not finite")
        return number
    return words.get(text.lower(), text)


def _free(options: argparse.Namespace) -> Path:
    """The next free folder."""
    name, n = f"search-{data_name(options.data)}-{options.model}", 1
    while (out := Path("runs") / f"{name}-{n}").exists():
        n += 1
    return out
