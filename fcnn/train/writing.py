"""Checkpoints written beside the steps."""

import threading
import warnings
from pathlib import Path
from typing import Any

import jax

from ..store import CheckpointError
from ..store.checkpoints import collect, write_checkpoint
from .running import copied


class Writer:
    """Writes checkpoints into a folder, one after the other, in a thread.

    Args:
        folder: Where; the one who makes it holds the lock.
        keep: How many stay.
        on_error: What becomes of one that cannot be written: "raise", or "warn" and go on.
    """

    def __init__(self, folder: Path, keep: int, on_error: str):
        self._folder, self._keep, self._on_error = folder, keep, on_error
        self._thread: threading.Thread | None = None
        self._failed: CheckpointError | None = None
        self._left = False

    def write(self, step: int, values: dict[str, Any], notes: dict[str, Any]) -> None:
        """Begins to write; what is on the device is copied there first, so that it can be given
        away. Arrays of numpy are taken as they are.

        Raises:
            CheckpointError: the one before could not be written.
        """
        self.wait()
        self._thread = threading.Thread(
            target=self._write,
            args=(step, _kept(values), notes),
            name="fcnn-checkpoint",
            daemon=True,  # a second Ctrl-C is not held up; what is half written is swept away
        )
        self._thread.start()

    def wait(self) -> None:
        """Returns when all is written.

        Raises:
            CheckpointError: the last one could not be.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failed, self._failed = self._failed, None
        if failed is not None and self._on_error == "raise":
            raise failed
        if failed is not None:
            warnings.warn(f"the run goes on, although {failed}", stacklevel=2)

    def leave(self) -> None:
        """Deletes nothing any more: the folder may soon be that of another."""
        self._left = True

    def _write(self, step: int, values: dict[str, Any], notes: dict[str, Any]) -> None:
        try:
            write_checkpoint(self._folder, step, values, notes)
            if not self._left:
                collect(self._folder, self._keep, upto=step)
        except CheckpointError as error:
            self._failed = error
        except Exception as error:
            self._failed = CheckpointError(f"{self._folder}, step {step}: {error!r}")
            self._failed.__cause__ = error


def _kept(values: dict[str, Any]) -> dict[str, Any]:
    """The same values, with those on the device in memory of their own.

    What the steps of an epoch found is numpy's, of another length each time: to copy it on the
    device would be a program to compile for every step.
    """
    leaves, structure = jax.tree.flatten(values)
    there = [isinstance(leaf, jax.Array) for leaf in leaves]
    own = iter(copied([leaf for leaf, is_there in zip(leaves, there, strict=True) if is_there]))
    kept = [next(own) if is_there else leaf for leaf, is_there in zip(leaves, there, strict=True)]
    return jax.tree.unflatten(structure, kept)
