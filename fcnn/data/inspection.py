"""Looks through a set of pictures before anything is trained on it: ``check``."""

import dataclasses
import io
import os
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from ..extras import require
from .archives import Folder, files
from .cifar import cifar10, cifar100
from .dataset import Dataset
from .duplicates import conflicts, digest, groups, leaks, repeats
from .findings import Example, Finding, Inspection, findings
from .folders import SUFFIXES, common_folder, stray_words, top_folders
from .pictures import FORMATS, pixels
from .readers import mnist, npz
from .suspicions import suspicions, unknown_classes
from .workers import check_workers

_VALIDATION = {"val", "valid", "validation"}
_ARRAYS = (  # patterns that are all found in the folder of a reader
    (mnist, ("*-ubyte*",)),
    (cifar10, ("**/data_batch_1*",)),
    (cifar100, ("**/train*", "**/test*")),
)
_TOGETHER = 32  # files that a thread looks at in one go
_MOST = 8  # threads, where nobody says how many
_ALONE = 2**22  # pixels; larger pictures are decoded one at a time, so that memory stays bounded

_one_at_a_time = threading.Lock()


def check(path: str | os.PathLike, *, workers: int | None = None) -> Inspection:
    """What is in a set of pictures and what is wrong with it; every file is read and decoded.

    Problems are files that cannot be read, pictures in no class folder, pictures of the test half
    that are also in the train half, pictures in two classes, classes that only the test half has,
    folders beside a train and a test folder, and values in arrays that are not finite. Warnings are
    repeats in a class, names that do not fit the format, sizes far from all others, pictures of one
    colour, files that are left out, empty folders, no class folders or a single class, classes that
    the test half lacks or spells in another way, and classes with 10 times the pictures of others.
    Two pictures are equal where a network would see the same 8-bit RGB pixels, however they were
    saved.

    Example:
        >>> found = check("photos")  # doctest: +SKIP
        >>> found.ok, found.unreadable  # doctest: +SKIP
        (False, {'cat/0007.jpg': 'the file is empty'})

    Args:
        path: A folder of class folders, in ``train`` and ``test`` (or ``val``) folders or not; a
            zip or a tar of one; an ``.npz``; a folder with the files of MNIST or CIFAR.
        workers: Number of threads; None means one for each core, up to 8.

    Raises:
        FileNotFoundError: there is nothing at ``path``.
        ValueError: it holds no pictures, or is a damaged archive.
        ImportError: Pillow is not installed.
    """
    workers = min(os.cpu_count() or 1, _MOST) if workers is None else workers
    check_workers(workers)
    path = Path(path)
    if path.suffix.lower() == ".npz":
        return _check_arrays(path, npz)
    source = files(path, SUFFIXES)
    names = [name for name in source.names if name.lower().endswith(SUFFIXES)]
    if names:
        return _check_files(source, names, workers)
    for reader, patterns in _ARRAYS:
        if path.is_dir() and all(any(path.glob(pattern)) for pattern in patterns):
            return _check_arrays(path, reader)
    raise ValueError(f"{path} holds no pictures, that is, no files ending in {' '.join(SUFFIXES)}")


def _check_files(source: Any, names: list[str], workers: int) -> Inspection:
    above = common_folder(source, names)
    halves, others = top_folders(names, above)
    parts = _in_order(halves) if halves and not others else [""]
    placed = [_placed(name, above, parts) for name in names]
    placed.sort(key=lambda example: (parts.index(example.part), example.label, example.name))
    examples = _looked_at(source, placed, workers)
    bad = [(example.name, example.reason) for example in examples if example.reason]
    total = f"of the {len(examples):,} files cannot be read"
    problems = findings("unreadable", bad, f"1 {total}", total)
    if others:
        problems.append(Finding("halves", f"{source.path} {stray_words(others)}"))
    odd = findings(
        "left out",
        [(name, "") for name in sorted(set(source.names) - set(names))],
        "1 file is no picture by its name and left out",
        "files are no pictures by their names and left out",
    )
    loose = [(example.name, "") for example in placed if not example.label]
    if len(loose) == len(placed):
        odd.append(Finding("no class", "no picture lies in a class folder"))
    else:
        one, many = "1 picture lies in no class folder", "pictures lie in no class folder"
        problems += findings("no class", loose, one, many)
    if isinstance(source, Folder):
        empty = [(name, "") for name in _empty_folders(source.path, names, parts)]
        odd += findings("empty", empty, "1 folder holds no pictures", "folders hold no pictures")
    return _inspection(source.path, parts, examples, problems, odd)


def _check_arrays(path: Path, reader: Callable) -> Inspection:
    """The check of what a reader gives as arrays; what it cannot read is one problem."""
    try:
        found = reader(path)
    except FileNotFoundError:
        raise
    except ValueError as error:
        bad = Example(path.name, "", "", reason=str(error))
        problems = findings("unreadable", [(bad.name, bad.reason)], "1 file cannot be read", "")
        return _inspection(path, [""], [bad], problems, [])
    halves = (
        dict(zip(("train", "test"), found, strict=True)) if type(found) is tuple else {"": found}
    )
    examples = [example for part, half in halves.items() for example in _rows(part, half)]
    problems = findings(
        "not finite",
        [(example.name, example.reason) for example in examples if example.reason],
        "1 example holds values that are not finite",
        "examples hold values that are not finite",
    )
    return _inspection(path, list(halves), examples, problems, [])


def _inspection(
    path: Path,
    parts: list[str],
    examples: list[Example],
    problems: list[Finding],
    odd: list[Finding],
) -> Inspection:
    labels = {part: Counter(e.label for e in examples if e.part == part) for part in parts}
    counts = {part: dict(sorted(found.items())) for part, found in labels.items()}
    totals = {part: sum(found.values()) for part, found in counts.items()}
    equal = groups(examples)
    return Inspection(
        path=str(path),
        counts=counts,
        sizes=Counter(example.size for example in examples if example.size),
        formats=Counter(example.format for example in examples if example.format),
        modes=Counter(example.mode for example in examples if example.mode),
        problems=(*problems, *leaks(equal, totals), *conflicts(equal), *unknown_classes(counts)),
        warnings=(*repeats(equal), *suspicions(examples, counts), *odd),
    )


def _in_order(halves: dict[str, str]) -> list[str]:
    """The folders that are halves, training first, then validation, test last."""
    order = {"train": 0, "test": 2}
    return sorted(
        halves, key=lambda top: (1 if top.lower() in _VALIDATION else order[halves[top]], top)
    )


def _placed(name: str, above: str, parts: list[str]) -> Example:
    below = name[len(above) :]
    part = ""
    if parts != [""]:
        part, _, below = below.partition("/")
    return Example(name, part, below.partition("/")[0] if "/" in below else "")


def _empty_folders(root: Path, names: Sequence[str], parts: list[str]) -> list[str]:
    """Folders in the place of classes that have no picture at any depth."""
    full = {name[: at + 1] for name in names for at, letter in enumerate(name) if letter == "/"}
    found = []
    for above in {*(f"{part}/" if part else "" for part in parts), ""}:
        with os.scandir(root / above) as entries:
            folders = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
        found += [f"{above}{name}" for name in folders if f"{above}{name}/" not in full]
    return sorted(found)


def _looked_at(source: Any, placed: list[Example], workers: int) -> list[Example]:
    """Each example with what its file shows, by threads."""
    starts = range(0, len(placed), _TOGETHER)

    def several(first: int) -> list[Example]:
        return [_looked(source, example) for example in placed[first : first + _TOGETHER]]

    require("PIL.Image", "io")  # said once, and not of every file
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about camera data and about large pictures
        if workers == 0:
            found = list(map(several, starts))
        else:
            with ThreadPoolExecutor(workers, "fcnn-check") as pool:
                found = list(pool.map(several, starts))
    return [example for examples in found for example in examples]


def _looked(source: Any, example: Example) -> Example:
    try:
        raw = source.read(example.name)
        form, mode, area = _header(raw)
        with _one_at_a_time if area > _ALONE else nullcontext():
            values = pixels(raw)
            return dataclasses.replace(
                example,
                size=values.shape[:2],
                format=form,
                mode=mode,
                digest=digest(values),
                flat=_is_flat(values),
            )
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return dataclasses.replace(example, reason=reason or str(error))


def _header(raw: bytes) -> tuple[str, str, int]:
    """Format, mode and number of pixels; nothing where there is no header."""
    image_module = require("PIL.Image", "io")
    try:
        with image_module.open(io.BytesIO(raw), formats=FORMATS) as image:
            form = "JPEG" if image.format == "MPO" else image.format  # one with more of a phone
            return form, image.mode, image.width * image.height
    except Exception:  # decoding will say what is wrong
        return "", "", 0


def _is_flat(values: np.ndarray) -> bool:
    first = values[:1, :1]
    return bool((values[0] == first[0]).all() and (values == first).all())


def _rows(part: str, half: Dataset) -> list[Example]:
    """The rows of arrays as examples."""
    names = half.classes
    whole = half.y.ndim == 1 and half.y.dtype.kind in "iu"
    labels = half.y.tolist() if whole else [""] * len(half)
    pictures = half.x.ndim >= 3
    examples = []
    for row, (x, label) in enumerate(zip(half.x, labels, strict=True)):
        finite = bool(np.isfinite(x).all())
        examples.append(
            Example(
                name=f"{part}[{row}]",
                part=part,
                label=names[label] if names and whole else str(label),
                reason=None if finite else "NaN or infinity",
                size=x.shape[:2] if pictures else (),
                mode=str(x.dtype),
                digest=digest(x),
                flat=pictures and _is_flat(x),
            )
        )
    return examples
