"""What all readers hold to: one error that names the file, and limits before anything is made.

A file is read whole. The arrays made of it are copies, and have together at most as many bytes as
it has and ``SPARE``, so that memory stays below twice the file however it was made.
"""

import contextlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

SPARE = 2**26  # bytes
LONGEST_JSON = 4_000_000  # bytes
MOST_JSON_VALUES = 400_000  # for a few bytes may stand for a dict of two hundred
HIGHEST_RANK = 32


class WeightsError(ValueError):
    """A file of weights that cannot be read or written; the message begins with the file."""


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Whatever the block raises leaves as a ``WeightsError`` that begins with the file."""
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:
        known = isinstance(error, ValueError) and not isinstance(error, UnicodeError)
        reason = str(error) if known else f"its parts do not fit together ({error!r:.120})"
        raise WeightsError(f"{os.fspath(path)}: {reason}") from error


def whole(path: str | os.PathLike) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it is not there, or may not be read.
        WeightsError: it is no regular file.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise WeightsError(f"{os.fspath(path)}: is no regular file")
    with open(path, "rb") as file:
        return file.read()


def check_room(sizes: Iterable[int], file_size: int) -> None:
    """Refuses arrays that would have many more bytes than the file they are made of.

    Raises:
        ValueError: telling both.
    """
    needed, most = sum(sizes), file_size + SPARE
    if needed > most:
        raise ValueError(
            f"its arrays would have {needed:,} bytes, and the file has {file_size:,}; "
            f"{most:,} are allowed"
        )


def native(array: np.ndarray) -> np.ndarray:
    """The array in C order and in this machine's order of bytes, as a copy."""
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")


def stored_type(dtype: np.dtype) -> np.dtype:
    """The type to read bytes as: numbers without a sign where NumPy itself has no such type."""
    builtin = dtype.isbuiltin == 1 and dtype.kind != "b"
    return dtype if builtin else np.dtype(f"u{dtype.itemsize}")


def as_type(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """What was read as ``stored_type(dtype)``, as ``dtype``.

    Raises:
        ValueError: a truth value is neither 0 nor 1.
    """
    if dtype.kind == "b" and array.max(initial=0) > 1:
        raise ValueError("an array of true and false holds other numbers")
    return array.view(dtype)


def shape_of(value: Any) -> tuple[int, ...]:
    """A shape that a file tells, if it is one.

    Raises:
        ValueError: it is something else, or has too many axes.
    """
    if not isinstance(value, list | tuple) or len(value) > HIGHEST_RANK:
        raise ValueError(f"a shape is no list of at most {HIGHEST_RANK} sizes")
    if not all(type(size) is int and 0 <= size < 2**62 for size in value):
        raise ValueError("a shape has sizes that are no whole numbers from 0")
    return tuple(value)


def json_value(data: bytes) -> Any:
    """What JSON says that is short, in UTF-8, and has no key twice in one object.

    Raises:
        ValueError: it is something else.
    """
    if len(data) > LONGEST_JSON:
        raise ValueError(f"its JSON has {len(data):,} bytes; {LONGEST_JSON:,} are allowed")
    values = sum(map(data.count, (b"{", b"[", b",")))  # with those in texts: never too few
    if values > MOST_JSON_VALUES:
        raise ValueError(f"its JSON has {values:,} values; {MOST_JSON_VALUES:,} are allowed")
    text = data.decode("utf-8")  # json would guess at the encoding of bytes
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("its JSON has a key twice in one object")
    return entries


def _no_number(text: str) -> None:
    raise ValueError(f"its JSON has {text}")
