"""``fcnn train``: data in, a folder with the network and its figures out."""

import argparse
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import jax

from .. import augment, data, models, optimizers, store, train
from ..core import Layer, Network
from ..data import Dataset
from ..extras import available
from ..store.checkpoints import checkpoint_steps
from ..store.files import write_file
from ..store.locks import locked
from ..store.manifest import versions
from . import arguments
from .beginning import but, fresh, from_file
from .sources import (
    FORMS,
    are_pictures,
    data_name,
    halves,
    pictures_for,
    read_data,
    read_network,
    say,
)

NO_PICTURES = {"size": None, "mode": "rgb", "on_error": "raise"}  # the options of picture files
DEFAULTS: dict[str, Any] = {
    "data": "digits",
    "model": "small_cnn",
    "epochs": 10,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "optimizer": "adam",
    "augment": "none",
    "seed": 0,
    "from": None,
    "freeze": None,
    **NO_PICTURES,
}  # fmt: skip
OPEN = ("model", "from", "freeze")  # the names among these for which there may be nothing
SETTINGS = "settings.json"  # in the folder of a run: these, as they were when it began


def add_commands(commands: Any) -> None:
    """Adds ``train``."""
    parser = commands.add_parser(
        "train",
        help="train a network and evaluate it",
        description="Trains a network, evaluates it once on the test data, and leaves in the "
        "folder --out: network.fcnn, history.csv, report.json, settings.json, checkpoints, and "
        "with matplotlib history.png and confusion.png. Ctrl-C ends it after a last checkpoint.",
    )

    def add(name: str, what: str, **options: Any) -> None:
        default = DEFAULTS[name.removeprefix("--").replace("-", "_")]
        shown = "" if default is None else f" (default: {default})"
        parser.add_argument(name, help=what + shown, default=argparse.SUPPRESS, **options)

    add("data", FORMS, nargs="?", metavar="DATA")
    add("--model", "see: fcnn models", metavar="NAME")
    what = "begin with the network of a run or a file .fcnn; other classes get a new head"
    add("--from", what, metavar="FILE")
    what = "with --from: parameters to keep as they are, a pattern on paths such as 'stage.*'"
    add("--freeze", what, type=arguments.pattern, metavar="PATTERN")
    add("--epochs", "passes over the data", type=arguments.count, metavar="N")
    add("--batch-size", "examples a step", type=arguments.count, metavar="N")
    add("--learning-rate", "step size", type=arguments.rate, metavar="X")
    names = optimizers.names()
    add("--optimizer", ", ".join(names), choices=names, metavar="NAME")
    names = augment.names()
    what = f"change the pictures at random while training: {', '.join(names)}"
    add("--augment", what, choices=names, metavar="NAME")
    what = "height and width of picture files, N or H,W (default: theirs, if all have one)"
    add("--size", what, type=arguments.size, metavar="N")
    add("--mode", "colours of picture files", choices=["rgb", "gray"])
    add("--on-error", arguments.ON_ERROR, choices=["raise", "skip"])
    add("--seed", "where all randomness comes from", type=arguments.seed, metavar="N")
    parser.add_argument(
        "--out", default=argparse.SUPPRESS, metavar="DIR",
        help="folder for the results (default: runs/DATA-MODEL-N)",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true",
        help="go on with the run in --out, from its newest checkpoint and with its settings; "
        "--epochs may be larger than they were",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print report.json on standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs ``fcnn train``."""
    begun = time.perf_counter()
    settings = _settings(options)
    options = argparse.Namespace(**vars(options) | settings)
    source = vars(options)["from"]
    if source is None:
        models.build(options.model)  # an unknown name is said before any data is read
    pictures = {name: settings[name] for name in NO_PICTURES}
    if not are_pictures(options.data) and pictures != NO_PICTURES:
        raise ValueError(f"--size, --mode and --on-error are for picture files, not {options.data}")
    train_data, test_data = halves(read_data(options.data, **pictures))
    test_data = data.readable(test_data)  # before hours are spent
    if source is None:
        model, trainable = fresh(options.model, train_data, test_data), ".*"
    else:
        model = from_file(source, options.seed, train_data, test_data)
        trainable = but(options.freeze, model.params)
    out = _folder(options)
    say(f"{options.model or source} on {options.data}, into {out}")
    with locked(out):  # the settings, too, are those of one run
        write_file(out / SETTINGS, f"{json.dumps(settings, indent=2)}\n".encode())
        history = _train(model, trainable, train_data, options, out)
    if history.interrupted:
        say(f"to go on: fcnn train --resume --out {out}")
        return 130
    report = train.evaluate(history.last, test_data)
    results = {
        **report.to_json(),
        **settings,
        "seconds": round(time.perf_counter() - begun, 3),
        "versions": {**versions(), "device": jax.devices()[0].device_kind},
    }
    (out / "report.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results) if options.json else report, flush=True)
    if available("matplotlib"):
        history.plot().savefig(out / "history.png", dpi=150)
        report.plot().savefig(out / "confusion.png", dpi=150)
    names = sorted(file.name for file in out.iterdir() if not file.name.startswith("."))
    say(f"\n{out}: {', '.join(names)}")
    return 0


def _train(
    model: Layer | Network,
    trainable: str,
    train_data: Dataset,
    options: argparse.Namespace,
    out: Path,
) -> train.History:
    """Trains, and leaves the network and the history in the folder."""
    try:
        network, history = train.fit(
            model,
            train_data,
            trainable=trainable,
            optimizer=optimizers.named(options.optimizer, options.learning_rate),
            epochs=options.epochs,
            batch_size=options.batch_size,
            augment=None if options.augment == "none" else augment.recipe(options.augment),
            seed=options.seed,
            checkpoint=out / "checkpoints",
            on_save_error="warn",
        )
    except BaseException:
        if not checkpoint_steps(out / "checkpoints"):
            _remove(out)
        raise
    store.save(out / "network.fcnn", network)  # first of all: what follows can be had again
    history.write_csv(out / "history.csv")
    return history


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """What is asked for, over what the run had when it began, over what is usual."""
    given = {name: getattr(options, name) for name in DEFAULTS if name in options}
    if not options.resume:
        return DEFAULTS | _of_network(given) | given
    if "out" not in options:
        raise ValueError("--resume goes on with a run: name its folder, --out DIR")
    stored = _stored(Path(options.out) / SETTINGS)
    if given.get("epochs", stored["epochs"]) < stored["epochs"]:
        raise ValueError(
            f"{options.out} was begun with --epochs {stored['epochs']}, which can become more, and "
            f"not {given['epochs']}"
        )
    for name, value in given.items():
        if name != "epochs" and value != stored[name]:
            option = name if name == "data" else f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{options.out} was begun with {option} {stored[name]}, and cannot go on with "
                f"{value}; choose another folder for that"
            )
    return stored | given


def _of_network(given: dict[str, Any]) -> dict[str, Any]:
    """What the network that a run begins with says itself: no model, and pictures such as it takes.

    Raises:
        ValueError: something else says the same, or there is no such network.
    """
    if "from" not in given:
        if "freeze" in given:
            raise ValueError("--freeze is of a network that was trained: name it, --from FILE")
        return {}
    if "model" in given:
        raise ValueError(f"--from {given['from']} brings its own model: leave out --model")
    network = read_network(given["from"])
    pictures = are_pictures(given.get("data", DEFAULTS["data"]))
    return {"model": None, **(pictures_for(network) if pictures else {})}


def _stored(path: Path) -> dict[str, Any]:
    """The settings of the run that left this file.

    Raises:
        ValueError: there is no such file, or something else is in it.
    """
    if not path.is_file():
        raise ValueError(f"{path.parent} holds no run to go on with: there is no {path.name} in it")
    try:
        stored = {**dict.fromkeys(OPEN), **json.loads(path.read_text())}
        size = stored.pop("size")
        types = {name: {type(value)} for name, value in DEFAULTS.items() if name != "size"}
        types |= {name: {str, type(None)} for name in OPEN}
        known = stored.keys() == types.keys()
        if not known or any(type(value) not in types[name] for name, value in stored.items()):
            raise ValueError("these are other settings")
        if (stored["model"] is None) == (stored["from"] is None):
            raise ValueError("a run begins with a model, or from a network")
        return DEFAULTS | stored | {"size": None if size is None else tuple(map(int, size))}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: damaged, or not the settings of a run: {error}") from error


def _folder(options: argparse.Namespace) -> Path:
    """The folder asked for, or the next free one; made before hours are spent."""
    if "out" in options:
        out = Path(options.out)
        if not options.resume and checkpoint_steps(out / "checkpoints"):
            raise ValueError(f"{out} holds a run; go on with it by --resume, or choose another one")
    else:
        source = Path(vars(options)["from"] or "").resolve()
        of = source.parent.name if source.name == "network.fcnn" else source.stem
        name, n = f"{data_name(options.data)}-{options.model or of}", 1
        while (out := Path("runs") / f"{name}-{n}").exists():
            n += 1
    out.mkdir(parents=True, exist_ok=True)
    return out


def _remove(out: Path) -> None:
    """Removes the folder of a run that did not begin, if nothing else is in it."""
    with contextlib.suppress(OSError):  # something else is
        for name in ("checkpoints/.lock", ".lock", SETTINGS):
            (out / name).unlink(missing_ok=True)
        for folder in (out / "checkpoints", out):
            if folder.is_dir():
                folder.rmdir()
