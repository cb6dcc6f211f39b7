"""Equal pictures: in a class, in two classes, in training and test.

Equal are those that are the same array to a network; how they were saved does not matter.
"""

import hashlib
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from .findings import Example, Finding, findings

Groups = list[list[Example]]


def digest(values: np.ndarray) -> bytes:
    """A hash of the shape and the values, 16 bytes; equal arrays of one dtype have equal ones."""
    found = hashlib.blake2b(repr(values.shape).encode(), digest_size=16)
    found.update(np.ascontiguousarray(values))
    return found.digest()


def groups(examples: Sequence[Example]) -> Groups:
    """The pictures that occur more than once, together; in the order of the examples."""
    by_digest: dict[bytes, list[Example]] = {}
    for example in examples:
        if example.digest:
            by_digest.setdefault(example.digest, []).append(example)
    return [group for group in by_digest.values() if len(group) > 1]


def leaks(equal: Groups, totals: dict[str, int]) -> list[Finding]:
    """Pictures of a part that are also in an earlier one.

    Args:
        equal: From ``groups``.
        totals: How many pictures each part has; training comes first.
    """
    found = []
    for first, second in combinations(totals, 2):
        files = []
        for group in equal:
            twin = next((example.name for example in group if example.part == first), None)
            if twin is not None:
                files += [(same.name, f"= {twin}") for same in group if same.part == second]
        if files:
            total = totals[second]
            line = f"{len(files):,} of the {total:,} pictures in {second} are also in {first}"
            found.append(Finding("leak", line, tuple(sorted(files))))
    return found


def conflicts(equal: Groups) -> list[Finding]:
    """Pictures that lie in more than one class."""
    files = []
    for group in equal:
        labels = {example.label for example in group if example.label}
        if len(labels) > 1:
            first, *others = group
            files.append((first.name, "= " + ", ".join(other.name for other in others)))
    one, many = "1 picture lies in more than one class", "pictures lie in more than one class"
    return findings("conflict", files, one, many)


def repeats(equal: Groups) -> list[Finding]:
    """Files that are equal to an earlier one of the same class and part."""
    files = []
    for group in equal:
        first: dict[tuple[str, str], str] = {}
        for example in group:
            twin = first.setdefault((example.part, example.label), example.name)
            if twin != example.name:
                files.append((example.name, f"= {twin}"))
    one, many = "1 file repeats a picture of its class", "files repeat a picture of their class"
    return findings("repeat", sorted(files), one, many)
