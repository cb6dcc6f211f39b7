"""Sources of one's own, which give many examples at once or one at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np

_NO_ARRAYS = (TypeError, IndexError, KeyError, ValueError, RuntimeError)  # PyTorch raises the last


class Source:
    """Batches of a foreign source, which takes an array of indices or one index at a time.

    Which of the two is known once something has been read.
    """

    def __init__(self, source: Any):
        self._source, self._read = source, None

    def __call__(self, rows: np.ndarray) -> Any:
        """The batch of these examples, as the source gives it or stacked."""
        if self._read is not None:
            return self._read(rows)
        try:
            batch, self._read = self._source[rows], self._source.__getitem__
        except _NO_ARRAYS as error:
            try:
                batch, self._read = self._one_by_one(rows), self._one_by_one
            except Exception as other:
                other.add_note(f"read one by one, since an array of indices gave {error!r}")
                raise
        return batch

    def _one_by_one(self, rows: np.ndarray) -> Any:
        examples = [_copied(self._source[row]) for row in rows.tolist()]
        if all(isinstance(example, dict) for example in examples):
            return {name: [example[name] for example in examples] for name in examples[0]}
        if all(isinstance(example, list) for example in examples):
            return [list(column) for column in zip(*examples, strict=True)]
        return examples[0]  # refused with the right words later


def _copied(example: Any) -> Any:
    """The parts of an example as arrays: a source may use its memory again for the next."""
    if isinstance(example, Mapping):
        return {name: np.asarray(part).copy() for name, part in example.items()}
    if isinstance(example, tuple | list):
        return [np.asarray(part).copy() for part in example]
    return example
