"""Pictures that are read where they are needed, and what becomes of those that cannot be read."""

import dataclasses
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .dataset import Dataset
from .pictures import pixels

_TOGETHER = 64  # pictures a thread decodes in one go
_LISTED = 20


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Pictures:
    """Picture files as a column, uint8 ``[n, h, w, c]``: what is asked for is read and decoded.

    Indices are those of an array along its first axis. Threads may read at once.

    Attributes:
        source: Where the files lie: a folder, a zip or a tar.
        names: Of the files, below the source.
        size: ``(height, width)``.
        channels: 1 for gray, 3 for RGB.
        fit: How a picture of another shape becomes this size: "stretch", "crop" or "pad"; None
            refuses a picture of another size.
        on_error: What ``readable`` does about a bad file: "raise" or "skip".
    """

    source: Any
    names: list[str]
    size: tuple[int, int]
    channels: int = 3
    fit: str | None = "stretch"
    on_error: str = "raise"
    _good: set[str] = dataclasses.field(default_factory=set)  # files known; bad ones may be mended

    dtype = np.dtype(np.uint8)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(n, h, w, c)``."""
        return (len(self.names), *self.size, self.channels)

    @property
    def nbytes(self) -> int:
        """Bytes of all of them, decoded."""
        return len(self.names) * self.size[0] * self.size[1] * self.channels

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Any) -> np.ndarray:
        rows = np.arange(len(self))[rows]
        if rows.ndim == 0:
            return self._decoded(self.names[rows])
        out = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, row in enumerate(rows):
            out[place] = self._decoded(self.names[row])
        return out

    def take(self, rows: Any, axis: int = 0) -> "Pictures":
        """The column of these pictures only, in this order; nothing is read."""
        if axis != 0:
            raise ValueError(f"pictures are taken along axis 0, got {axis}")
        rows = np.atleast_1d(np.arange(len(self))[rows])
        return dataclasses.replace(self, names=[self.names[row] for row in rows])

    def problems(self, *, workers: int | None = None) -> list[tuple[str, str]]:
        """``(name, reason)`` of the files that cannot be read; a good file is decoded once to know.

        Args:
            workers: Number of threads; None means one for each core.
        """
        bad: dict[str, str] = {}
        unknown = [name for name in dict.fromkeys(self.names) if name not in self._good]
        for _ in _in_threads(lambda name: self._tried(name, bad), unknown, workers):
            pass
        return [(name, bad[name]) for name in self.names if name in bad]

    def decode_into(self, out: np.ndarray, *, workers: int | None = None) -> list[tuple[str, str]]:
        """Decodes all into ``out``, uint8 ``[n, h, w, c]``, and gives the problems.

        The rows of files that cannot be read are left as they are.
        """

        bad: dict[str, str] = {}

        def fill(row: int) -> None:
            values = self._tried(self.names[row], bad)
            if values is not None:
                out[row] = values

        for _ in _in_threads(fill, range(len(self)), workers):
            pass
        return [(name, bad[name]) for name in self.names if name in bad]

    def __repr__(self) -> str:
        return f"<{len(self):,} pictures uint8{list(self.shape[1:])} in {self.source.path}>"

    def _tried(self, name: str, bad: dict[str, str]) -> np.ndarray | None:
        """A picture, or None, and then the reason is added to ``bad``."""
        try:
            values = self._values(name)
        except (ValueError, OSError) as error:
            bad[name] = _reason(error)
            return None
        self._good.add(name)
        return values

    def _values(self, name: str) -> np.ndarray:
        raw = self.source.read(name)
        if self.fit is not None:
            return pixels(raw, size=self.size, channels=self.channels, fit=self.fit)
        values = pixels(raw, channels=self.channels)
        if values.shape[:2] != self.size:
            (h, w), (height, width) = values.shape[:2], self.size
            raise ValueError(
                f"it has {h} x {w} pixels, others {height} x {width}; size=(h, w) resizes all"
            )
        return values

    def _decoded(self, name: str) -> np.ndarray:
        try:
            return self._values(name)
        except (ValueError, OSError) as error:
            place = f"{self.source.path}{os.sep}{name}"
            raise ValueError(f"{place} cannot be read as a picture: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _in_threads(task: Callable, items: Any, workers: int | None) -> Iterator[None]:
    """``task(item)`` for every item, by threads; an exception of one ends all."""
    if workers is None:
        workers = min(os.cpu_count() or 1, 16)
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers}")

    def several(first: int) -> None:
        for item in items[first : first + _TOGETHER]:
            task(item)

    starts = range(0, len(items), _TOGETHER)
    if workers < 2 or len(starts) < 2:
        yield from map(several, starts)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(several, starts)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def readable(
    dataset: Dataset,
    *,
    workers: int | None = None,
    room: int = 2**29,
    say: Callable[[str], None] | None = None,
) -> Dataset:
    """The dataset once its pictures are known to be readable; with "skip", those that are.

    Every picture file is decoded once by threads. Where the pictures take at most ``room`` bytes
    they are kept, as an array; else they stay on disk. Data without picture files is given back as
    it is.

    Args:
        dataset: A dataset.
        workers: Number of threads; None means one for each core.
        room: Bytes of the memory that decoded pictures may take.
        say: Is told in a line how many were left out; None writes it to stderr.

    Raises:
        ValueError: files cannot be read and ``on_error`` is "raise", or none can; they are listed.
    """
    column = dataset.x
    if not isinstance(column, Pictures):
        return dataset
    kept = np.empty(column.shape, np.uint8) if column.nbytes <= room else None
    if kept is None:
        problems = column.problems(workers=workers)
    else:
        problems = column.decode_into(kept, workers=workers)
    if problems:
        rows = good_rows(column, problems, say or _tell)
        dataset = dataset.take(rows)
        if kept is not None:
            for place, row in enumerate(rows):  # row >= place; a copy might not fit into memory
                kept[place] = kept[row]
            kept = kept[: len(rows)]
    return dataset if kept is None else dataclasses.replace(dataset, x=kept)


def good_rows(
    column: Pictures, problems: list[tuple[str, str]], say: Callable[[str], None] = _tell
) -> np.ndarray:
    """The numbers of the pictures without problems; a line says how many have some.

    Raises:
        ValueError: ``on_error`` is "raise", or nothing is left.
    """
    if column.on_error == "raise" or len(problems) == len(column):
        lines = [textwrap.shorten(f"{name}: {reason}", 200) for name, reason in problems[:_LISTED]]
        if len(problems) > _LISTED:
            lines.append(f"and {len(problems) - _LISTED:,} more")
        advice = (
            ""
            if column.on_error == "skip"
            else "; on_error='skip' (--on-error skip) leaves them out"
        )
        raise ValueError(
            f"{len(problems):,} of {len(column):,} pictures in {column.source.path} "
            f"cannot be read{advice}:\n  " + "\n  ".join(lines)
        )
    name, reason = problems[0]
    say(
        f"{len(problems):,} of {len(column):,} pictures cannot be read and are left out: "
        f"first {name}: {reason}"
    )
    bad = {name for name, _ in problems}
    return np.flatnonzero([name not in bad for name in column.names])
