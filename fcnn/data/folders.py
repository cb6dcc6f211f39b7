"""Datasets of picture files: folders whose names are the classes, tables of paths and labels."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from csv import DictReader
from csv import Error as TableError
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from .archives import Folder, files
from .caching import cached
from .columns import class_names, encode_labels
from .dataset import Dataset, arrays
from .loading import Pictures
from .pictures import FITS, header_size

SUFFIXES = (  # of the names of pictures, in any letter case
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib"),
    *(".gif", ".webp", ".tif", ".tiff"),
)
HALVES = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}
_CHANNELS = {"rgb": 3, "gray": 1}
_LARGEST = np.iinfo(np.int32).max
_LOOKED_AT = 16  # headers, to see whether all pictures have one size


def folder(
    path: str | os.PathLike,
    *,
    size: int | tuple[int, int] | None = None,
    mode: str = "rgb",
    fit: str = "stretch",
    label: Callable[[PurePosixPath], str] | None = None,
    classes: Sequence[str] | None = None,
    cache: str | os.PathLike | None = None,
    on_error: str = "raise",
) -> Dataset | tuple[Dataset, Dataset]:
    """Pictures in folders whose names are the classes: ``x`` uint8 ``[n, h, w, c]``, ``y`` int32.

    ``path`` holds a folder for each class, with its pictures at any depth; or a ``train`` and a
    ``test`` folder with such folders, which give a pair ``(train, test)`` with one list of classes
    (``training``; ``testing``, ``val``, ``valid``, ``validation`` in any letter case are found as
    well). Every file whose name ends like one of a picture (``.png``, ``.jpg``, ``.bmp``, ``.gif``,
    ``.webp``, ``.tif`` and their kin) is an example; other files, and those whose names begin with
    a dot, are left out. Examples are sorted by class, then by name.

    Pictures are read and decoded when they are asked for (see ``Pictures``); they are upright as
    their EXIF data say, on white where transparent, and of an animation the first frame.

    ``path`` may also be a ``.zip`` or a ``.tar``, which are read in place, or a compressed tar,
    whose files are kept in memory, up to 1 GiB; a top folder around everything is ignored.

    Args:
        path: The folder or the archive.
        size: ``(height, width)``, or one number for both; None means that all have one size.
        mode: "rgb" or "gray".
        fit: How a picture of another shape becomes this size: "stretch" it, "crop" what goes beyond
            in the middle, or "pad" with black.
        label: The class of a file, from its path below ``path`` (below the ``train`` or ``test``
            folder, where there are such); None means the folder it lies in.
        classes: The names of the labels 0, 1, ...; None means those found, sorted.
        cache: None decodes a picture each time it is asked for; "memory" decodes all at once; a
            name that ends in ``.npy`` decodes all into that file, memory-mapped, and uses it again
            as long as no picture and no option has changed. A pair has two such files,
            ``-train.npy`` and ``-test.npy``.
        on_error: What is done about files that cannot be read, before training or when they are
            cached: "raise" a ValueError with a list, or "skip" them and say how many on stderr.

    Raises:
        FileNotFoundError: there is nothing at ``path``.
        ValueError: an option is wrong; there are no pictures; one lies in no folder; the sizes
            differ and none is given; a class of the test half is not in the train half; there are
            others beside these two.
        ImportError: Pillow is not installed.
    """
    options = _options(size, mode, fit, cache, on_error)
    source = files(path, SUFFIXES)
    names = [name for name in source.names if name.lower().endswith(SUFFIXES)]
    if not names:
        endings = " ".join(SUFFIXES)
        raise ValueError(f"{path} holds no pictures, that is, no files ending in {endings}")
    above = common_folder(source, names)
    halves = _halves(names, above, source.path)
    title = source.path.name or "pictures"
    found = {half: _labels(names, above, label, source.path) for half, above, names in halves}
    if "test" in found and classes is None:
        classes = sorted(set(found["train"][1]))
        if strangers := sorted(set(found["test"][1]) - set(classes)):
            raise ValueError(
                f"{source.path}: the test half has the classes {strangers}, the train half only "
                f"{classes}"
            )
    made = []
    for half, (examples, labels) in found.items():
        dataset = _dataset(source, examples, labels, classes, f"{title} {half}".strip(), options)
        made.append(cached(dataset, _cache_of(cache, half if len(found) > 1 else ""), options))
    return made[0] if len(made) == 1 else tuple(made)


def csv(
    file: str | os.PathLike,
    *,
    path: str = "path",
    label: str = "label",
    root: str | os.PathLike | None = None,
    size: int | tuple[int, int] | None = None,
    mode: str = "rgb",
    fit: str = "stretch",
    classes: Sequence[str] | None = None,
    cache: str | os.PathLike | None = None,
    on_error: str = "raise",
) -> Dataset:
    """Pictures in a table of paths and labels, a CSV whose first line names its columns.

    Labels are names of classes, with two exceptions where ``classes`` is None: where all are
    integers from 0, they are the numbers of classes, and where all are numbers and one is no
    integer, such as ``2.0``, they are float32 targets. The rows keep their order.

    Args:
        file: The table, in UTF-8, parted by commas.
        path: Its column of paths, of files of any name.
        label: Its column of labels.
        root: The folder or the archive that the paths are below; None means that of the table.
        size: As for ``folder``, like all that follow.
        mode: "rgb" or "gray".
        fit: "stretch", "crop" or "pad".
        classes: The names of the labels 0, 1, ...
        cache: None, "memory", or the name of a ``.npy``.
        on_error: "raise" or "skip".

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: it is empty or lacks a column, a cell is empty, the number of a class is beyond
            32 bits, a target is not finite, or as for ``folder``.
    """
    options = _options(size, mode, fit, cache, on_error)
    file = Path(file)
    names, labels = _table(file, path, label)
    source = files(file.parent if root is None else root, SUFFIXES)
    names = [PurePosixPath(name).as_posix() for name in names]
    try:
        y, classes = _targets(labels, classes)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    dataset = _dataset(source, names, y, classes, file.stem, options)
    return cached(dataset, _cache_of(cache, ""), options)


def _options(size: Any, mode: str, fit: str, cache: Any, on_error: str) -> dict[str, Any]:
    problems = []
    if isinstance(size, int | np.integer) and not isinstance(size, bool):
        size = (size, size)
    if size is not None:
        whole = isinstance(size, tuple | list) and len(size) == 2
        if not whole or not all(isinstance(n, int | np.integer) and n > 0 for n in size):
            problems.append(f"size must be an integer or (height, width), got {size!r}")
        else:
            size = (int(size[0]), int(size[1]))
    for name, value, known in (
        ("mode", mode, tuple(_CHANNELS)),
        ("fit", fit, FITS),
        ("on_error", on_error, ("raise", "skip")),
    ):
        if value not in known:
            problems.append(f"{name} must be one of {', '.join(known)}, got {value!r}")
    if cache not in (None, "memory") and not str(cache).endswith(".npy"):
        problems.append(f"cache must be None, 'memory' or a name ending in .npy, got {cache!r}")
    if problems:
        raise ValueError("; ".join(problems))
    return {"size": size, "mode": mode, "fit": fit, "on_error": on_error}


def common_folder(source: Any, names: list[str]) -> str:
    """The folder around everything in an archive, with its ``/``, or an empty text."""
    above = ""
    while not isinstance(source, Folder) and all(name.count("/", len(above)) > 1 for name in names):
        top = names[0][: names[0].index("/", len(above)) + 1]
        if not all(name.startswith(top) for name in names):
            break
        above = top
    return above


def top_folders(names: list[str], above: str) -> tuple[dict[str, str], list[str]]:
    """The folders that are halves, each with "train" or "test", and all else beside both.

    Where there are not both, what is called like one beside others is a class: no folder is a half.
    """
    tops = sorted({name[len(above) :].partition("/")[0] for name in names})
    known = {word: half for half, words in HALVES.items() for word in words}
    halves = {top: known[top.lower()] for top in tops if top.lower() in known}
    others = [top for top in tops if top not in halves]
    if others and len(set(halves.values())) < len(HALVES):
        return {}, []
    return halves, others


def stray_words(others: list[str]) -> str:
    """What is wrong where something lies beside the halves."""
    shown = ", ".join(others[:8]) + (" ..." if len(others) > 8 else "")
    return f"has a train and a test folder beside others ({shown}); move those away"


def _halves(names: list[str], above: str, path: Path) -> list[tuple[str, str, list[str]]]:
    """(half, the folder it is, its files): train and test, or one without a name."""
    parts, others = top_folders(names, above)
    if others:
        raise ValueError(f"{path} {stray_words(others)}")
    if not parts:
        return [("", above, names)]
    if sorted(parts.values()) != ["test", "train"]:
        tops = list(parts)
        raise ValueError(
            f"{path} has the folders {', '.join(tops)}; a train and a test folder make a pair; "
            "read others one by one, with the classes of the first: "
            f"folder({str(path / above / tops[0])!r})"
        )
    found = []
    for top, half in sorted(parts.items(), key=lambda part: part[1], reverse=True):
        inside = f"{above}{top}/"
        found.append((half, inside, [name for name in names if name.startswith(inside)]))
    return found


def _labels(
    names: list[str], above: str, label: Callable | None, path: Path
) -> tuple[list[str], list[str]]:
    """The files sorted by class and name, and their classes."""
    labels = []
    for name in names:
        below = name[len(above) :]
        if label is not None:
            labels.append(label(PurePosixPath(below)))
            if not isinstance(labels[-1], str):
                raise TypeError(f"label must give a str, and gave {labels[-1]!r} for {below}")
        elif "/" in below:
            labels.append(below.partition("/")[0])
        else:
            raise ValueError(
                f"{path}: {name} lies in no class folder; move it into one, or give label="
            )
    pairs = sorted(zip(labels, names, strict=True))
    return [name for _, name in pairs], [label for label, _ in pairs]


def _dataset(
    source: Any,
    names: list[str],
    labels: Any,
    classes: Sequence[str] | None,
    name: str,
    options: dict[str, Any],
) -> Dataset:
    size, fit = options["size"], options["fit"]
    if size is None:
        size, fit = _one_size(source, names), None
    channels = _CHANNELS[options["mode"]]
    column = Pictures(source, names, size, channels, fit, options["on_error"])
    if isinstance(labels, np.ndarray):
        return arrays(column, labels, classes=classes, name=name)
    classes = None if classes is None else class_names(classes)
    y, classes = encode_labels(np.array(labels), classes)
    return Dataset(column, y, classes=classes, name=name)


def _one_size(source: Any, names: list[str]) -> tuple[int, int]:
    """The size that a few of the pictures have, as their headers say."""
    step = max(1, len(names) // _LOOKED_AT)
    sizes, reason = Counter(), ""
    for name in [*names[::step], *names]:
        if sizes and sizes.total() >= _LOOKED_AT:
            break
        try:
            sizes[header_size(source.read(name))] += 1
        except (ValueError, OSError) as error:
            reason = reason or f"{name}: {error}"
    if not sizes:
        raise ValueError(f"{source.path}: no picture can be read; {reason}")
    if len(sizes) > 1:
        found = ", ".join(f"{h} x {w}" for h, w in sorted(sizes))
        raise ValueError(
            f"{source.path}: the pictures differ in size ({found} among the first looked at); "
            "give size=(height, width)"
        )
    return next(iter(sizes))


def _table(file: Path, path: str, label: str) -> tuple[list[str], list[str]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            table = DictReader(stream, strict=True)
            columns = table.fieldnames or []
            if lacking := [name for name in (path, label) if name not in columns]:
                raise ValueError(f"has the columns {columns}, and lacks {lacking}")
            rows = [(row[path], row[label]) for row in table]
    except (TableError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from error
    if not rows:
        raise ValueError(f"{file} has no rows")
    if empty := [number for number, row in enumerate(rows, 1) if not all(row)]:
        raise ValueError(f"{file}: a path or a label is empty in row {empty[0]}")
    names, labels = zip(*rows, strict=True)
    return list(names), list(labels)


def _targets(labels: list[str], classes: Sequence[str] | None) -> tuple[Any, Sequence[str] | None]:
    """Labels as they are meant: names of classes, numbers of classes, or float targets."""
    if classes is not None:
        return labels, classes
    try:
        numbers = np.array([float(label) for label in labels])
    except ValueError:
        return labels, None
    if all(label.isascii() and label.isdigit() for label in labels):
        if numbers.max() > _LARGEST:
            raise ValueError(
                f"the label {max(labels, key=int)} is beyond the numbers of classes, "
                f"0..{_LARGEST}; list the names in classes=, or give targets a decimal point"
            )
        return np.array([int(label) for label in labels], np.int32), None
    if all(re.fullmatch(r"[+-]?[0-9]+", label) for label in labels):
        return labels, None
    with np.errstate(over="ignore"):
        numbers = numbers.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError("labels that are numbers must be finite in float32")
    return numbers, None


def _cache_of(cache: Any, half: str) -> Any:
    if cache in (None, "memory"):
        return cache
    cache = Path(cache)
    return cache.with_name(f"{cache.stem}-{half}.npy") if half else cache
