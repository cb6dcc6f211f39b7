"""The checkpoints of a run: what is in them, and how a run goes on from one."""

import contextlib
import copy
import hashlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..core import describe, spec, trees
from ..data import Dataset
from ..data.streams import Stream
from ..store.checkpoints import Checkpoint, environment, newest_checkpoint, sweep
from ..store.files import CheckpointError
from ..store.locks import locked
from ..store.networks import description_of
from .looping import fits
from .memory import shapes_of
from .preparing import OF_EPOCHS, Task
from .running import Position, Run, copied
from .state import TrainState
from .stepping import Step
from .writing import Writer

POSITION = ("epoch", "step", "bad", "fine", "seconds", "waited", "examples")
HISTORY = ("rows", "best_epoch", "stopped", "monitor", "mode")


def packed(run: Run, basis: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Where a run is, as arrays and as notes; ``basis`` is what it goes on with, as JSON."""
    at, history = run.at, run.history
    values = {**_tree(run.ts), "found": at.found}
    if history.best is not None and not _is_best(history.best_epoch, at):
        values["best"] = {"params": history.best.params, "state": history.best.state}
    if run.anchor is not None and at.found:
        values["anchor"] = _tree(run.anchor)
    notes = {
        "network": description_of(run.task.network(run.ts.params, run.ts.state)),
        "position": {name: getattr(at, name) for name in POSITION},
        "history": {name: getattr(history, name) for name in HISTORY},
        **basis,
    }
    return values, copy.deepcopy(notes)  # the history goes on


def resume(run: Run, checkpoint: Checkpoint, basis: Mapping[str, Any]) -> None:
    """Puts a run where it was at a checkpoint.

    Warns where the rest will not be, bit for bit, what it would have been.

    Raises:
        CheckpointError: it is a checkpoint of another run; all differences are listed.
    """
    values, notes = checkpoint.values, checkpoint.notes
    problems = _differences(run, checkpoint, basis)
    like = _tree(run.ts)
    names = like.keys() | ({"average"} & values.keys())
    problems += _misfits({name: values.get(name, {}) for name in names}, like)
    if problems:
        lines = "\n  ".join(problems[:20])
        raise CheckpointError(
            f"{checkpoint.path} is of another run; give it the same arguments, or choose another "
            f"folder for this one\n  {lines}"
        )
    for change in _changes(checkpoint, basis):
        warnings.warn(f"{checkpoint.path}: {change}", stacklevel=5)
    run.ts = _state(values, run.ts)
    found = {name: np.asarray(column) for name, column in values.get("found", {}).items()}
    run.at = Position(**notes["position"], found=found)
    for name in HISTORY:
        setattr(run.history, name, notes["history"][name])
    if run.non_finite != "raise":
        for row in run.history.rows:
            row.setdefault("skipped", 0)
    if run.history.best_epoch is not None:
        if _is_best(run.history.best_epoch, run.at):
            run.history.best = run.network()
        else:
            run.history.best = run.task.network(values["best"]["params"], values["best"]["state"])
    if run.non_finite == "rollback":
        run.anchor = _state(values["anchor"], run.ts) if "anchor" in values else copied(run.ts)


def go_with_checkpoints(
    run: Run, folder: Path, basis: Mapping[str, Any], *, keep: int, on_error: str
) -> None:
    """Runs from the newest intact checkpoint in a folder, if there is one, and adds more.

    Raises:
        CheckpointError: the folder is in use, holds another run, or cannot be written to. If the
            run has begun, it has the ``network`` and the ``history``.
    """
    with locked(folder):
        sweep(folder)
        newest, passed_over = newest_checkpoint(folder)
        for error in passed_over:
            warnings.warn(f"passed over a damaged checkpoint: {error}", stacklevel=3)
        if newest is not None:
            resume(run, newest, basis)
            run.shown.say(f"goes on from {newest.path}")
        elif passed_over:
            raise CheckpointError(f"{folder}: none of its {len(passed_over)} checkpoints is intact")
        writer = Writer(folder, keep, on_error)

        def save(run: Run) -> None:
            writer.write(run.at.step, *packed(run, basis))

        run.save = save
        try:
            run.go()
            writer.wait()
        except CheckpointError as error:
            error.network, error.history = run.network(), run.history
            raise
        except Exception:
            with contextlib.suppress(CheckpointError):
                writer.wait()
            raise
        finally:
            writer.leave()


def basis_of(
    task: Task, step: Step, ts: TrainState, batch_size: int, seed: int, *, warm: bool = False
) -> dict[str, Any]:
    """What a run goes on with beside its checkpoint: the numbers that make its batches, its data,
    what a step computes, and, for a ``warm`` start, the values that it begins with.

    What a step computes is told by a hash of the traced program, with every constant in it.
    """
    size = task.train.size if isinstance(task.train, Stream) else batch_size
    return {
        "run": {"batch_size": batch_size, "seed": seed},
        "data": _hash_of_data(task.train),
        "class_weight": None if task.weights is None else task.weights.tolist(),
        "validation": None if task.held_out is None else _hash_of_data(task.held_out),
        "computation": _hash_of_program(step.trace(spec(ts), shapes_of(task, size)).jaxpr),
        "begun": _hash_of_values((ts.params, ts.state)) if warm else None,
    }


def _tree(ts: TrainState) -> dict[str, Any]:
    """A train state as nested dicts of arrays."""
    opt_state = trees.nested(trees.flat({"opt_state": ts.opt_state}))
    means = {} if ts.average is None else {"average": ts.average}
    own = {"params": ts.params, "state": ts.state, "step": ts.step, "key": ts.key}
    return {**own, **opt_state, **means}


def _state(values: Mapping[str, Any], like: TrainState) -> TrainState:
    """The train state in such dicts, in the form of another."""
    leaves = trees.flat({"opt_state": values.get("opt_state", {})})
    order = trees.flat({"opt_state": like.opt_state})
    structure = jax.tree.structure(like.opt_state)
    opt_state = jax.tree.unflatten(structure, [leaves[path] for path in order])
    names = ("params", "state", "step", "key", *(["average"] if like.average is not None else []))
    own = {name: values[name] for name in names}
    return replace(like, opt_state=opt_state, **own)


def _is_best(best_epoch: int | None, at: Position) -> bool:
    """Whether the values of the run are those of its best epoch."""
    return best_epoch == at.epoch and not at.found


def _misfits(values: Mapping[str, Any], like: Mapping[str, Any]) -> list[str]:
    found, needed = trees.flat(values), trees.flat(like)
    problems = []
    for path in sorted(needed.keys() & found.keys()):
        there, here = (describe(tree[path]) for tree in (found, needed))
        if there != here:
            problems.append(f"{path} is {there} there, and {here} here")
    problems += [f"{path} is not there" for path in sorted(needed.keys() - found.keys())]
    problems += [f"{path} is there, not here" for path in sorted(found.keys() - needed.keys())]
    return problems


def _differences(run: Run, checkpoint: Checkpoint, basis: Mapping[str, Any]) -> list[str]:
    """What no run can go on with."""
    there, here = checkpoint.notes, basis
    problems = [
        f"{name} is {there['run'].get(name)!r} there, and {value!r} here"
        for name, value in here["run"].items()
        if there["run"].get(name) != value
    ]
    for name in ("monitor", "mode"):
        if there["history"][name] != (value := getattr(run.history, name)):
            problems.append(f"{name} is {there['history'][name]!r} there, and {value!r} here")
    names = {"loss", *run.task.metrics, *(["penalty"] if run.lesson["penalty"] else [])}
    found = checkpoint.values.get("found") or dict.fromkeys(names | {"weight", "finite"})
    columns = names | {f"validation_{name}" for name in names - {"penalty"} if run.look}
    rows = there["history"]["rows"][-1:] or [dict.fromkeys(columns)]
    for before, now in ((found.keys() - {"weight", "finite"}, names), (rows[0].keys(), columns)):
        if (before := set(before) - OF_EPOCHS) != now:
            listed = [", ".join(sorted(each)) for each in (before, now)]
            problems.append(f"reported are {listed[0]} there, and {listed[1]} here")
            break
    if there["position"]["epoch"] > run.epochs:
        problems.append(f"{there['position']['epoch']} epochs ended there; here are {run.epochs}")
    if there["data"]["examples"] != here["data"]["examples"] and "found" in checkpoint.values:
        counts = there["data"]["examples"], here["data"]["examples"]
        problems.append(f"it stands within an epoch of {counts[0]} examples; here are {counts[1]}")
    return problems


def _changes(checkpoint: Checkpoint, basis: Mapping[str, Any]) -> list[str]:
    """What a run can go on with, but not as it would have without an interruption."""
    changes = []
    now = environment()
    for name in now["versions"].keys() | checkpoint.environment["versions"].keys():
        was, is_now = (each["versions"].get(name) for each in (checkpoint.environment, now))
        if was != is_now:
            changes.append(f"{name} {was} there, {is_now} here")
    for name in ("platform", "device_kind", "xla_flags"):
        if (was := checkpoint.environment[name]) != now[name]:
            changes.append(f"{name} {was!r} there, {now[name]!r} here")
    if changes:
        listed = "; ".join(sorted(changes))
        changes = [f"the run goes on elsewhere, so that last bits may differ: {listed}"]
    elif checkpoint.notes["computation"] != basis["computation"]:
        changes = [
            "the run goes on with other steps than it was begun with: another loss, optimizer, "
            "learning rate, augmentation or model"
        ]
    for name, what in (
        ("data", "training data"),
        ("class_weight", "class weights"),
        ("validation", "validation data"),
    ):
        if checkpoint.notes[name] != basis[name]:
            changes.append(f"the run goes on with other {what} than it was begun with")
    begun = basis["begun"]
    if begun is not None and begun != checkpoint.notes.get("begun", begun):
        changes.append(
            "the values of the network that was given are not used: the run goes on from its own, "
            "and was begun with others; choose another folder to begin with these"
        )
    return changes


def _hash_of_data(data: Dataset | Stream) -> dict[str, Any]:
    """The number of examples, and a SHA-256 of all of them where they are arrays; else of what is
    at hand: the targets and the first and the last input.
    """
    found = hashlib.sha256()
    if isinstance(data, Stream):
        columns = list(data.first.values())
    elif fits(data):
        columns = [data.x, data.y, data.weight]
    else:
        ends = np.array([0, len(data) - 1])
        columns = [*data[ends], *([data.y] if isinstance(data.y, np.ndarray) else [])]
    for column in columns:
        for leaf in jax.tree.leaves(column):
            array = np.ascontiguousarray(leaf)
            found.update(f"{array.dtype}{array.shape}".encode())
            found.update(array.view(np.uint8) if array.ndim else array.tobytes())
    examples = None if isinstance(data, Stream) else len(data)
    return {"examples": examples, "classes": list(data.classes or ()), "sha256": found.hexdigest()}


def _hash_of_values(tree: Any) -> str:
    """The SHA-256 of all leaves and of their paths."""
    found = hashlib.sha256()
    for path, leaf in trees.flat(tree).items():
        array = np.asarray(leaf, order="C")
        found.update(f"{path} {array.dtype}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _hash_of_program(program: Any) -> str:
    """The SHA-256 of a traced program: its text without addresses, and its constants."""
    text = re.sub(r" at 0x[0-9a-f]+", "", str(program))
    found = hashlib.sha256(text.encode())
    for const in program.consts:
        is_key = jax.dtypes.issubdtype(const.dtype, jax.dtypes.prng_key)
        found.update(np.asarray(jax.random.key_data(const) if is_key else const).tobytes())
    return found.hexdigest()
