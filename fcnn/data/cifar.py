"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009): pickled batches, the binary version, class folders.

The pickled batches are not unpickled: a reader of the few operations that they are made of puts
together dicts, lists, numbers, texts and arrays of bytes, and refuses everything else. Nothing that
a file names is looked up, imported or called.
"""

import math
import os
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from .dataset import Dataset, arrays
from .folders import folder

_LONGEST = 2**28  # bytes of a batch; the longest of the real ones has 155 million
_MARK = object()
_RECONSTRUCT, _NDARRAY, _DTYPE, _ENCODE = "reconstruct", "ndarray", "dtype", "encode"
_NAMES = {
    "numpy.core.multiarray _reconstruct": _RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": _RECONSTRUCT,
    "numpy ndarray": _NDARRAY,
    "numpy dtype": _DTYPE,
    "_codecs encode": _ENCODE,
}


def cifar10(path: str | os.PathLike) -> tuple[Dataset, Dataset]:
    """``(train, test)`` of CIFAR-10 in a folder: ``x`` uint8 ``[n, 32, 32, 3]``, ``y`` int32.

    The folder holds, itself or in the folder of that name that the official archive unpacks to, the
    python version (``data_batch_1`` and so on), or the binary version (``data_batch_1.bin``), or
    pictures in ``train`` and ``test`` folders, as ``folder`` reads them. The names of the classes
    are those of ``batches.meta``, where it is there.

    Raises:
        FileNotFoundError: none of these is there, or not all of its files.
        ValueError: a file is damaged or something else; the message names it.
    """
    parts = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
    return _cifar(Path(path), "cifar10", "cifar-10-batches", parts, b"labels", 1)


def cifar100(path: str | os.PathLike, *, coarse: bool = False) -> tuple[Dataset, Dataset]:
    """``(train, test)`` of CIFAR-100 in a folder, like ``cifar10``.

    Args:
        path: The folder; it holds ``train`` and ``test``, or ``train.bin`` and ``test.bin``.
        coarse: The labels are the 20 superclasses instead of the 100 classes.

    Raises:
        FileNotFoundError: none of these is there, or not all of its files.
        ValueError: a file is damaged or something else; the message names it.
    """
    parts = {"train": ["train"], "test": ["test"]}
    key = b"coarse_labels" if coarse else b"fine_labels"
    return _cifar(Path(path), "cifar100", "cifar-100", parts, key, 2)


def _cifar(
    path: Path, name: str, stem: str, parts: dict[str, list[str]], key: bytes, label_bytes: int
) -> tuple[Dataset, Dataset]:
    first = parts["train"][0]
    python = [f"{stem}-py", f"{stem.removesuffix('-batches')}-python"]
    binary = [f"{stem}-bin", f"{stem.removesuffix('-batches')}-binary"]
    for place in (path, *(path / below for below in python)):
        if (place / first).is_file():
            read, ending, classes = _pickled, "", _pickled_classes(place, key)
            break
    else:
        for place in (path, *(path / below for below in binary)):
            if (place / f"{first}.bin").is_file():
                read, ending, classes = _binary, ".bin", _listed_classes(place, key)
                break
        else:
            return _from_pictures(path, name, first)
    made = []
    for half, names in parts.items():
        files = [place / f"{file}{ending}" for file in names]
        if missing := [file.name for file in files if not file.is_file()]:
            raise FileNotFoundError(f"{place} lacks {', '.join(missing)}")
        most = {b"labels": 10, b"coarse_labels": 20, b"fine_labels": 100}[key]
        batches = [read(file, key, label_bytes) for file in files]
        for file, (_, labels) in zip(files, batches, strict=True):
            if labels.size and (labels.min() < 0 or labels.max() >= most):
                span = f"{labels.min()}..{labels.max()}"
                raise ValueError(f"{file}: labels lie in 0..{most - 1}, got {span}")
        x = np.concatenate([planes for planes, _ in batches])
        y = np.concatenate([labels for _, labels in batches]).astype(np.int32)
        made.append(arrays(x, y, classes=classes, name=f"{name} {half}"))
    return made[0], made[1]


def _from_pictures(path: Path, name: str, first: str) -> tuple[Dataset, Dataset]:
    if not (path / "train").is_dir() or not (path / "test").is_dir():
        raise FileNotFoundError(
            f"{path} has no {first}, no {first}.bin and no folders train and test"
        )
    train, test = folder(path, size=32)
    whole = slice(None)
    return train.take(whole, name=f"{name} train"), test.take(whole, name=f"{name} test")


def _pictures(planes: np.ndarray) -> np.ndarray:
    """Red, green and blue planes [n, 3072] as pictures [n, 32, 32, 3]."""
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _binary(file: Path, key: bytes, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Records of one or two labels (coarse, fine) and 3,072 pixels."""
    record = label_bytes + 3072
    if file.stat().st_size % record:
        raise ValueError(
            f"{file}: {file.stat().st_size:,} bytes are no whole number of records of {record:,}"
        )
    records = np.fromfile(file, np.uint8).reshape(-1, record)
    return _pictures(records[:, label_bytes:]), records[:, 0 if key == b"coarse_labels" else -3073]


def _listed_classes(place: Path, key: bytes) -> tuple[str, ...] | None:
    names = {b"labels": "batches.meta.txt"}
    file = place / names.get(key, f"{key.decode().removesuffix('s')}_names.txt")
    return tuple(file.read_text(encoding="ascii").split()) if file.is_file() else None


def _pickled(file: Path, key: bytes, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    batch = read_batch(file)
    planes, labels = batch.get(b"data"), batch.get(key)
    if not isinstance(planes, np.ndarray) or planes.ndim != 2 or planes.shape[1] != 3072:
        raise ValueError(f"{file}: data is no array [n, 3072]")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError(f"{file}: {key.decode()} is no list of integers")
    if len(labels) != len(planes):
        raise ValueError(f"{file} has {len(planes)} pictures and {len(labels)} labels")
    return _pictures(planes), np.array(labels, np.int64)


def _pickled_classes(place: Path, key: bytes) -> tuple[str, ...] | None:
    file = place / ("batches.meta" if key == b"labels" else "meta")
    if not file.is_file():
        return None
    names = read_batch(file).get(b"label_names" if key == b"labels" else key[:-1] + b"_names")
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise ValueError(f"{file} has no list of names of the classes")
    return tuple(name.decode("latin-1") for name in names)


def read_batch(file: Path) -> dict:
    """The dict in a pickled batch; texts are bytes in it, and arrays have the type uint8.

    Raises:
        ValueError: the file is damaged, too long, or holds something else; it is named.
    """
    if file.stat().st_size > _LONGEST:
        raise ValueError(f"{file}: {file.stat().st_size:,} bytes are more than {_LONGEST:,}")
    try:
        found = _built(file.read_bytes())
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        reason = error if isinstance(error, ValueError) else "its parts do not fit together"
        raise ValueError(f"{file} is no batch of CIFAR: {reason}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{file} is no batch of CIFAR: it holds a {type(found).__name__}")
    return found


class _Pending:
    """An array that has been announced, until its state has come."""

    value: Any = None


class _Bytes:
    """The type of single bytes, until its state has come."""


def _built(raw: bytes) -> Any:
    """What a pickle describes, by a stack as in its own machine, for the operations known here."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        at = len(stack) - 1
        while stack[at] is not _MARK:  # an IndexError where there is none
            at -= 1
        items = stack[at + 1 :]
        del stack[at:]
        return items

    for operation, argument, _ in pickletools.genops(raw):
        name = operation.name
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            stack.append(argument)
        elif name in _TEXTS:
            stack.append(argument.encode("latin-1" if "STRING" in name else "utf-8"))
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name == "GLOBAL":
            if argument not in _NAMES:
                raise ValueError(f"it names {argument!r}")
            stack.append(_NAMES[argument])
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in _TUPLES:
            count = _TUPLES[name]
            items = tuple(stack[len(stack) - count :])
            del stack[len(stack) - count :]
            stack.append(items)
        elif name == "TUPLE":
            stack.append(tuple(since_mark()))
        elif name == "APPEND":
            value = stack.pop()
            _of(stack[-1], list).append(value)
        elif name == "APPENDS":
            items = since_mark()
            _of(stack[-1], list).extend(items)
        elif name == "SETITEM":
            key, value = stack[-2:]
            del stack[-2:]
            _set(_of(stack[-1], dict), [key, value])
        elif name == "SETITEMS":
            items = since_mark()
            _set(_of(stack[-1], dict), items)
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_called(stack.pop(), _of(arguments, tuple)))
        elif name == "BUILD":
            state = stack.pop()
            _give_state(stack[-1], _of(state, tuple))
        elif name == "STOP":
            return _finished(stack.pop())
        elif name != "PROTO":
            raise ValueError(f"it uses the operation {name}")
    raise ValueError("it ends early")


_CONSTANTS = {"MARK": _MARK, "NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_VALUES = {"BININT", "BININT1", "BININT2", "BINBYTES", "SHORT_BINBYTES"}
_TEXTS = {"BINSTRING", "SHORT_BINSTRING", "BINUNICODE"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _of(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"it has a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _set(target: dict, items: list[Any]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=True):
        if _of(key, bytes) in target:
            raise ValueError(f"it has two entries called {key!r}")
        target[key] = value


def _called(function: Any, arguments: tuple) -> Any:
    if function is _RECONSTRUCT and arguments[0] is _NDARRAY:
        return _Pending()
    if function is _DTYPE and arguments[0] == b"u1":
        return _Bytes()
    if function is _ENCODE and arguments[1:] == (b"latin1",):  # bytes, as Python 3 writes them
        return _of(arguments[0], bytes).decode("utf-8").encode("latin-1")
    raise ValueError("it makes something other than an array of bytes")


def _give_state(target: Any, state: tuple) -> None:
    if isinstance(target, _Bytes):
        return
    _, shape, dtype, fortran, raw = state
    if not isinstance(target, _Pending) or not isinstance(dtype, _Bytes):
        raise ValueError("it makes something other than an array of bytes")
    sizes = [_of(size, int) for size in _of(shape, tuple)]
    if min(sizes, default=0) < 0 or math.prod(sizes) != len(_of(raw, bytes)):
        raise ValueError(f"it has an array {sizes} of {len(raw):,} bytes")
    target.value = np.frombuffer(raw, np.uint8).reshape(sizes, order="F" if fortran else "C")


def _finished(found: Any) -> Any:
    if isinstance(found, dict):
        return {k: v.value if isinstance(v, _Pending) else v for k, v in found.items()}
    return found
