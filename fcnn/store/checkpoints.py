"""A folder of checkpoints: each is there whole or not at all, and is verified before it is used.

    folder/step_00000120/           a checkpoint
        state.npz                     its arrays, a zip of stored .npy files
        manifest.json                 what they are, the SHA-256 of state.npz, and the notes
    folder/.tmp-<pid>-<random>/     one that is being written, or was when its writer died
    folder/.trash-<pid>-<random>/   one that is being deleted
    folder/.lock                    held by the one process that writes

Readers look at ``step_<digits>`` alone, and need no lock. A step that is written again with other
content gets a name with one more zero, and only then the older one goes: there is no moment
without it.
"""

import contextlib
import hashlib
import itertools
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from . import files, manifest, noting, tensors
from .files import CheckpointCorruptError, CheckpointError

FORMAT = 1
_STATE, _MANIFEST = "state.npz", "manifest.json"
_ENVIRONMENT = ("versions", "platform", "device_kind", "xla_flags")
_NAME = re.compile(r"step_([0-9]{8,})")
_LEFT = re.compile(r"\.(tmp|trash)-[0-9]+-[0-9a-f]{16}")


@dataclass(frozen=True)
class Checkpoint:
    """What was written at one step, and on what: ``environment()`` as it was then."""

    path: Path
    step: int
    values: dict[str, Any]
    notes: dict[str, Any]
    environment: dict[str, Any]


def write_checkpoint(
    folder: str | os.PathLike, step: int, values: Mapping[str, Any], notes: Mapping[str, Any]
) -> Path:
    """Adds a checkpoint to a folder, which is made if it is not there; only one may do so at once.

    Equal values and notes in an equal environment give equal bytes. An intact checkpoint of this
    step with these bytes is left; another, or a damaged one, goes when the new one is there.

    Args:
        folder: Where; hold it with ``locked``.
        step: At least 0; it makes the name.
        values: Nested dicts of arrays, of jax or numpy.
        notes: What JSON can say, and NaN and infinities; a tuple comes back as a list.

    Returns:
        The directory of the checkpoint.

    Raises:
        TypeError: the values or notes are something else.
        CheckpointError: they are beyond the limits, or cannot be written; every other checkpoint
            is as it was, and of this step the older one or the new one is there.
    """
    if type(step) is not int or step < 0:
        raise ValueError(f"step must be a whole number from 0, got {step!r:.80}")
    folder = Path(folder)
    shown = folder / f"step_{step:08}"
    try:
        state, description = _encode(step, values, notes)
    except ValueError as error:
        raise CheckpointError(f"{shown}: {error}") from error
    with files.system_errors(shown, "written", needed=len(state) + len(description)):
        files.make_directory(folder)
        older = [path for path in _directories(folder) if _step(path) == step]
        path = next((path for path in older if _holds(path, description)), None)
        if path is None:
            path = _commit(folder, step, state, description)
        files.sync_directory(folder)
        _delete(folder, (other for other in older if other != path))
    return path


def read_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """The checkpoint in a directory, every byte of it verified.

    Raises:
        CheckpointCorruptError: its bytes are not those that were written.
        CheckpointError: it is no checkpoint, cannot be read, or is of a newer version.
    """
    path = Path(path)
    entries, found = _manifest(path), hashlib.sha256()
    with _reading(path / _STATE), ThreadPoolExecutor(1) as beside:
        size = entries["files"][_STATE]["bytes"]
        state = files.read_whole(
            path / _STATE, size=size, seen=lambda piece: beside.submit(found.update, piece)
        )
        verified = beside.submit(_verify, found, state, entries)
        try:  # to hash takes as long as to read and to decode, and lets go of the GIL
            values = tensors.decode(state, entries["tree"])
        finally:
            verified.result()
    with _reading(path / _MANIFEST):
        notes = noting.from_json(entries["notes"])
        made_on = {name: entries[name] for name in _ENVIRONMENT}
    return Checkpoint(path, entries["step"], values, notes, made_on)


def checkpoint_steps(folder: str | os.PathLike) -> list[int]:
    """The steps a folder has checkpoints of, by their names, in rising order; unverified."""
    return sorted({_step(path) for path in _directories(Path(folder))})


def checkpoint_paths(folder: str | os.PathLike) -> list[Path]:
    """The checkpoints of a folder, by their names, in rising order; unverified."""
    return list(_directories(Path(folder)))


def is_name(name: str) -> bool:
    """Whether this is how the directory of a checkpoint is called."""
    return _NAME.fullmatch(name) is not None


def newest_checkpoint(
    folder: str | os.PathLike,
) -> tuple[Checkpoint | None, list[CheckpointError]]:
    """The newest checkpoint that is intact, or None, and what is wrong with each newer one.

    Others may write and delete meanwhile.
    """
    folder = Path(folder)
    while True:
        found, errors = _directories(folder), []
        for path in reversed(found):
            try:
                return read_checkpoint(path), errors
            except CheckpointError as error:
                if _directories(folder) != found:
                    break  # it may have been deleted under our eyes: look again
                errors.append(error)
        else:
            # A listing may miss what is renamed while it is made, even the only one.
            if _directories(folder) == found:
                return None, errors


def collect(folder: str | os.PathLike, keep: int, upto: int) -> None:
    """Deletes old checkpoints: of the steps up to ``upto`` the newest ``keep`` stay.

    They are counted from the newest one that is intact, so that it is never deleted; while none
    is, nothing is.

    Raises:
        CheckpointError: one cannot be deleted.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, got {keep!r:.80}")
    folder = Path(folder)
    with files.system_errors(folder, "collected"):
        paths = [path for path in _directories(folder) if _step(path) <= upto]
        intact = next(filter(_is_intact, reversed(paths)), None)
        if intact is not None:
            steps = sorted({_step(path) for path in paths if _step(path) <= _step(intact)})
            oldest = steps[-keep:][0]
            _delete(folder, (path for path in paths if _step(path) < oldest))


def sweep(folder: str | os.PathLike) -> None:
    """Deletes what writers that died have left; for the one that holds the lock.

    Raises:
        CheckpointError: something cannot be deleted.
    """
    folder = Path(folder)
    with files.system_errors(folder, "swept"):
        for name in os.listdir(folder):
            if _LEFT.fullmatch(name):  # and nothing of anyone else
                files.remove(folder / name)


def environment() -> dict[str, Any]:
    """What the numbers are computed with; only where it is equal are they equal bit for bit."""
    return {
        "versions": manifest.versions(),
        "platform": jax.default_backend(),
        "device_kind": jax.devices()[0].device_kind,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def _encode(step: int, values: Any, notes: Any) -> tuple[bytes, bytes]:
    """The two files of a checkpoint."""
    if not isinstance(values, dict):
        raise TypeError(f"values must be nested dicts of arrays, got {values!r:.80}")
    if not isinstance(notes, dict):
        raise TypeError(f"notes must be a dict, got {notes!r:.80}")
    state, tree = tensors.encode(values)
    description = manifest.encode(
        {
            "format": FORMAT,
            "step": step,
            "tree": tree,
            "files": {_STATE: {"bytes": len(state), "sha256": manifest.sha256(state)}},
            **environment(),
            "notes": noting.to_json(notes),
        }
    )
    return state, description


def _commit(folder: Path, step: int, state: bytes, description: bytes) -> Path:
    temporary = _unused(folder, "tmp")
    with files.removed_on_failure(temporary):
        os.mkdir(temporary)
        files.write_new(temporary / _STATE, state)
        files.write_new(temporary / _MANIFEST, description)
        files.sync_directory(temporary)
        names = (folder / f"step_{step:0{width}}" for width in itertools.count(8))
        path = next(path for path in names if not os.path.lexists(path))
        os.rename(temporary, path)
    return path


def _delete(folder: Path, paths: Iterable[Path]) -> None:
    """Takes all from sight for good, then deletes: no half of a checkpoint is ever in sight."""
    with contextlib.ExitStack() as stack:
        moved = []
        for path in paths:
            trash = _unused(folder, "trash")
            stack.enter_context(files.removed_on_failure(trash))
            os.rename(path, trash)
            moved.append(trash)
        if moved:
            files.sync_directory(folder)
        for trash in moved:
            files.remove(trash)


def _unused(folder: Path, purpose: str) -> Path:
    return folder / f".{purpose}-{os.getpid()}-{secrets.token_hex(8)}"


def _directories(folder: Path) -> dict[Path, tuple[int, int]]:
    """Each checkpoint, oldest step first, with what tells it from a later one of the same name."""
    found = []
    with (
        files.system_errors(folder, "listed"),
        contextlib.suppress(FileNotFoundError),
        os.scandir(folder) as listing,
    ):
        for entry in listing:
            if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    status = entry.stat(follow_symlinks=False)
                    found.append((folder / entry.name, (status.st_ino, status.st_mtime_ns)))
    return dict(sorted(found, key=lambda item: (_step(item[0]), len(item[0].name))))


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step_"))


def _manifest(path: Path) -> dict[str, Any]:
    """The manifest, as it was written."""
    with _reading(path):
        if not _NAME.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            raise CheckpointError(f"{path}: is not a directory named step_<digits>")
    with _reading(path / _MANIFEST):
        data = files.read_whole(path / _MANIFEST, most=manifest.LIMIT)
        entries = manifest.decode(bytes(data))
        if entries["format"] != FORMAT:
            raise CheckpointError(
                f"{path / _MANIFEST}: has format {entries['format']!r:.20}; this version of fcnn "
                f"reads format {FORMAT}, a newer one may read it"
            )
        if entries["step"] != _step(path):
            raise ValueError(f"is of step {entries['step']!r:.20}")
    return entries


def _verify(found: Any, state: memoryview, entries: Mapping[str, Any]) -> None:
    """Compares the hash of the state with the one that was written."""
    if found.hexdigest() != entries["files"][_STATE]["sha256"]:
        where = ", ".join(tensors.damaged(state, entries["tree"]))
        raise ValueError(f"its SHA-256 does not match; wrong: {where or 'no array'}")


def _is_intact(path: Path) -> bool:
    try:
        entries, found = _manifest(path), hashlib.sha256()
        with _reading(path / _STATE):
            size = entries["files"][_STATE]["bytes"]
            state = files.read_whole(path / _STATE, size=size, seen=found.update)
            _verify(found, state, entries)
    except CheckpointError:
        return False
    return True


def _holds(path: Path, description: bytes) -> bool:
    """Whether an intact checkpoint has this manifest, and so this state."""
    try:
        found = files.read_whole(path / _MANIFEST, size=len(description))
    except (OSError, ValueError):
        return False
    return found == description and _is_intact(path)


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Whatever the block raises leaves as a ``CheckpointError`` that begins with the file."""
    try:
        yield
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise CheckpointCorruptError(f"{file}: is missing") from error
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise CheckpointCorruptError(f"{file}: damaged, or not of fcnn: {error}") from error
