"""Reads hostile files in a process of its own, under watch: ``python -m tests.security.watching``.

Every event of ``sys.addaudithook`` that is not on a short list is noted, and the address space may
grow by no more than twice the file and 128 MB while a file is read. What was found is printed as
one line of JSON.
"""

import json
import os
import resource
import socket
import subprocess
import sys
import time
import unicodedata  # noqa: F401  Python imports it to parse a name that is not ASCII, in any text
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import fcnn
from fcnn.store import CheckpointError, tensors
from fcnn.store.checkpoints import read_checkpoint, write_checkpoint

from . import hostile, hostile_data

MARGIN = 128 * 2**20
SLOW = 3  # seconds of computing; a tenth of that where the machine is not shared
_HARMLESS = {
    "builtins.id",
    "sys._getframe",
    "object.__getattr__",
    "array.__new__",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_watched: list[tuple[str, str]] | None = None  # events are noted while this is a list


def _hook(event: str, args: tuple) -> None:
    if _watched is None or event in _HARMLESS:
        return
    if event == "open" and not (isinstance(args[2], int) and args[2] & _WRITING):
        return
    shown = args[1:] if event == "compile" else args  # the file, not the text
    _watched.append((event, repr(shown)[:120]))


def address_space() -> int:
    """Bytes that this process has mapped."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def observed(action: Callable[[], Any], room: int) -> tuple[list, Any, float]:
    """Events, result or error, and seconds of an action that may map ``room`` bytes more."""
    global _watched
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + room, limits[1]))
    events: list[tuple[str, str]] = []
    start = time.process_time()
    try:
        _watched = events
        result = action()
    except BaseException as error:
        result = error
    finally:
        _watched = None
        seconds = time.process_time() - start
        resource.setrlimit(resource.RLIMIT_AS, limits)
    return events, result, seconds


def out_of_memory(error: Any) -> bool:
    """Whether it, or what it came from, was a want of memory."""
    while isinstance(error, BaseException):
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def read_all(
    files: Iterable[tuple[str, bytes | dict[str, bytes]]],
    path: Path,
    read: Callable[[Path], Any],
    refusals: tuple[type[Exception], ...],
    *,
    allowed: Callable[[str, str], bool] = lambda event, args: False,
    expected: Callable[[str, Any], bool] = lambda kind, result: True,
) -> dict[str, Any]:
    """Puts each file at ``path``, or several into it, and reads it; what happened, in words."""
    found: dict[str, Any] = {key: [] for key in ("events", "wrong", "unnamed", "starved", "slow")}
    refused, loaded, slowest = Counter(), Counter(), (0.0, "")
    for number, (kind, data) in enumerate(files):
        parts = data if isinstance(data, dict) else {"": data}
        for name, part in parts.items():
            (path / name).write_bytes(part)
        size = sum(map(len, parts.values()))
        which = f"{number} ({kind}, {size} bytes)"
        events, result, seconds = observed(lambda: read(path), 2 * size + MARGIN)
        error = result if isinstance(result, BaseException) else None
        found["events"] += [(which, *event) for event in events if not allowed(*event)]
        (loaded if error is None else refused)[kind] += 1
        if error is not None:
            text = f"{which}: {type(error).__name__}: {str(error)[:300]}"
            if not isinstance(error, refusals):
                found["wrong"].append(text)
            elif path.name not in str(error):
                found["unnamed"].append(text)
            if out_of_memory(error):
                found["starved"].append(text)
        elif not expected(kind, result):
            found["wrong"].append(f"{which}: {result!r:.300}")
        if seconds > SLOW:
            found["slow"].append(f"{which}: {seconds:.1f} s")
        slowest = max(slowest, (seconds, which))
    lists = {key: value[:10] for key, value in found.items()}
    return {**lists, "refused": refused, "loaded": loaded, "slowest": slowest}


def noticed(path: Path) -> list[str]:
    """What of a number of bad deeds the watch sees: it has to be able to see them all."""
    deeds: dict[str, Callable[[], Any]] = {
        "exec": lambda: exec("1"),  # noqa: S102
        "compile": lambda: compile("1", "file", "eval"),
        "import": lambda: __import__("this_is_no_module"),
        "os.system": lambda: os.system("true"),  # noqa: S605
        "subprocess.Popen": lambda: subprocess.run(["true"], check=True),
        "socket.__new__": socket.socket,
        "open": lambda: path.write_bytes(b""),
        "os.mkdir": lambda: os.mkdir(path),
        "os.remove": lambda: os.remove(path),
        "memory": lambda: bytearray(2 * MARGIN),
    }
    seen = []
    for name, deed in deeds.items():
        events, result, _ = observed(deed, MARGIN)
        if out_of_memory(result) or any(name == event for event, _ in events):
            seen.append(name)
    return seen


def saved(folder: Path, network: fcnn.Network) -> bytes:
    """The bytes of a network, which has also been loaded once: nothing more is imported then."""
    fcnn.save(folder / "saved.fcnn", network)
    fcnn.load(folder / "saved.fcnn")
    return (folder / "saved.fcnn").read_bytes()


def of_networks(folder: Path, count: int) -> dict[str, Any]:
    """Hostile files in the form of saved networks; what only looks different says the same."""
    good = hostile.small_network()
    files = hostile.networks(saved(folder, good), count)

    def same(kind, network):
        return kind not in ("zip", "resealed") or same_values(network, good)

    path = folder / "hostile.fcnn"
    return read_all(files, path, fcnn.load, (CheckpointError,), expected=same)


def same_values(network: Any, good: fcnn.Network) -> bool:
    """Whether a network has just these values."""
    one, other = (tensors.encode({"p": n.params, "s": n.state}) for n in (network, good))
    return one == other


def of_damaged_networks(folder: Path, count: int) -> dict[str, Any]:
    """Saved networks with one thing wrong; four times as many."""
    file = saved(folder, hostile.small_network())
    numbers = np.random.Generator(np.random.Philox(1))
    files = (("damaged", hostile.damaged(file, numbers)) for _ in range(4 * count))
    path = folder / "damaged.fcnn"
    return read_all(files, path, fcnn.load, (CheckpointError,), expected=lambda *_: False)


def of_checkpoints(folder: Path, count: int) -> dict[str, Any]:
    """Hostile files in the form of checkpoints; a tenth as many."""
    network = hostile.small_network()
    values = {"params": network.params, "state": network.state, "key": jax.random.key(1)}
    path = write_checkpoint(folder / "run", 7, values, {"loss": [1.0, float("nan")]})
    read_checkpoint(path)
    parts = ((path / name).read_bytes() for name in ("manifest.json", "state.npz"))
    files = hostile.checkpoints(*parts, count // 10)
    return read_all(files, path, read_checkpoint, (CheckpointError,))


def of_large_files(folder: Path, count: int) -> dict[str, Any]:
    """Manifests of 4 MB; in a long run also a whole network of 160 MB, which is to be loaded."""
    _, state = hostile.taken_apart(saved(folder, hostile.small_network()))
    files = [
        ("wide", hostile.sealed(("manifest.json", text), ("state.npz", state)))
        for text in hostile.wide_manifests()
    ]
    if count >= 100_000:
        params = {"kernel": np.ones((40_000_000, 1), np.float32), "bias": np.ones(1, np.float32)}
        files.append(("large", saved(folder, fcnn.Network(fcnn.dense(1), params, {}))))
    return read_all(files, folder / "large.fcnn", fcnn.load, (CheckpointError,))


def of_data(folder: Path, count: int) -> dict[str, Any]:
    """Hostile files of every kind of data, as many of each; one report for each kind."""
    return {
        source.name: _of_source(folder, source, count) for source in hostile_data.sources(folder)
    }


def _of_source(folder: Path, source: Any, count: int) -> dict[str, Any]:
    path = folder / source.name

    def read(path):
        found = source.read(path)
        if isinstance(found, fcnn.data.Dataset) or isinstance(found[0], fcnn.data.Dataset):
            hostile_data.read_all_of(found)

    for good in source.good:  # whatever is imported at the first time is imported now
        path.write_bytes(good)
        read(path)
    return read_all(
        source.files(count, seed=0), path, read, (ValueError, OSError), allowed=_literal
    )


def _literal(event: str, args: str) -> bool:
    """NumPy reads headers by ``ast.literal_eval``, which compiles to a tree that is not run."""
    return event == "mmap.__new__" or (event == "compile" and "'<unknown>'" in args)


if __name__ == "__main__":
    sys.addaudithook(_hook)
    b"x".decode("cp437")  # which zipfile imports at the first name that is no UTF-8
    _folder, _count, *_corpora = sys.argv[1:]
    _results: dict[str, Any] = {"noticed": noticed(Path(_folder) / "deed")}
    for _corpus in _corpora:
        _start = time.perf_counter()
        _results[_corpus] = globals()[f"of_{_corpus}"](Path(_folder), int(_count))
        _results[_corpus]["seconds"] = time.perf_counter() - _start
    print(json.dumps(_results))
