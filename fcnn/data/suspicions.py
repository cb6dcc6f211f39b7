"""What is odd about a set of pictures, though each can be read."""

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from .findings import Example, Finding, findings

Counts = dict[str, dict[str, int]]  # part, class, number of files

_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **{".png": "PNG", ".gif": "GIF", ".webp": "WEBP"},
}
_FAR = 4  # times the usual side: such a picture is much larger or smaller than the rest
_FEW = 0.05  # of the pictures may be far from the usual size; where more are, none is usual
_IMBALANCE = 10  # times as many in one class as in another


def suspicions(examples: Sequence[Example], counts: Counts) -> list[Finding]:
    """Names, sizes, colours and classes that are worth a look."""
    return [
        *_wrong_suffixes(examples),
        *_far_sizes(examples),
        *findings(
            "one colour",
            [(example.name, "") for example in examples if example.flat],
            "1 picture is all one colour",
            "pictures are all one colour",
        ),
        *_single_class(counts),
        *_spellings(counts),
        *_lacking_classes(counts),
        *_imbalances(counts),
    ]


def unknown_classes(counts: Counts) -> list[Finding]:
    """Classes that cannot be learned, because the first part, the training part, has none."""
    (first, taught), *others = counts.items()
    found = []
    for part, classes in others:
        if unknown := sorted(set(classes) - set(taught) - {""}):
            text = f"{first} lacks the {_classes(unknown)}, of which {part} has pictures"
            found.append(Finding("class", text))
    return found


def _wrong_suffixes(examples: Sequence[Example]) -> list[Finding]:
    files = []
    for example in examples:
        expected = _FORMATS.get(PurePosixPath(example.name).suffix.lower())
        if expected and example.format and expected != example.format:
            files.append((example.name, f"is {example.format}"))
    one = "1 file is of another format than its name says"
    return findings("suffix", files, one, "files are of another format than their names say")


def _far_sizes(examples: Sequence[Example]) -> list[Finding]:
    sized = [example for example in examples if example.size]
    if not sized:
        return []
    sides = np.array([max(example.size) for example in sized])
    usual = np.median(sides)
    far = (sides * _FAR < usual) | (sides > usual * _FAR)
    if far.mean() > _FEW:
        return []
    files = [
        (example.name, " x ".join(map(str, example.size)))
        for example, odd in zip(sized, far, strict=True)
        if odd
    ]
    one = "1 picture is much smaller or larger than the rest"
    return findings("size", files, one, "pictures are much smaller or larger than the rest")


def _single_class(counts: Counts) -> list[Finding]:
    classes = {name for part in counts.values() for name in part if name}
    if len(classes) != 1:
        return []
    return [
        Finding("one class", f"there is one class, {min(classes)!r}, and nothing to tell apart")
    ]


def _spellings(counts: Counts) -> list[Finding]:
    """Classes whose names differ in letter case, blanks, hyphens and underscores only."""
    found = []
    for names in _same_names(counts):
        places = (
            f"{name!r} in {part}" if part else repr(name)
            for name in sorted(names)
            for part in counts
            if name in counts[part]
        )
        found.append(Finding("spelling", f"classes differ in spelling only: {', '.join(places)}"))
    return found


def _same_names(counts: Counts) -> list[set[str]]:
    names: dict[str, set[str]] = {}
    for part in counts.values():
        for name in part:
            bare = "".join(c for c in name.casefold() if not c.isspace() and c not in "-_")
            names.setdefault(bare, set()).add(name)
    return [same for same in names.values() if len(same) > 1]


def _lacking_classes(counts: Counts) -> list[Finding]:
    """Classes that a part after the first lacks and has under no other spelling either."""
    known = set().union(*_same_names(counts))
    found = []
    for part, classes in list(counts.items())[1:]:
        others = set().union(*(counts[other] for other in counts if other != part))
        if lacking := sorted(others - set(classes) - known - {""}):
            found.append(Finding("class", f"{part} lacks the {_classes(lacking)}"))
    return found


def _imbalances(counts: Counts) -> list[Finding]:
    found = []
    for part, classes in counts.items():
        named = {name: n for name, n in classes.items() if name}
        if len(named) < 2:
            continue
        low, high = min(named, key=named.__getitem__), max(named, key=named.__getitem__)
        if named[high] >= _IMBALANCE * named[low]:
            where = f" in {part}" if part else ""
            found.append(
                Finding(
                    "imbalance",
                    f"the classes are far from balanced{where}: "
                    f"{named[high]:,} of {high!r}, {named[low]:,} of {low!r}",
                )
            )
    return found


def _classes(names: Sequence[str]) -> str:
    what = "class" if len(names) == 1 else f"{len(names):,} classes"
    return f"{what} {_few(names)}"


def _few(names: Sequence[str], most: int = 8) -> str:
    text = ", ".join(map(repr, names[:most]))
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"
