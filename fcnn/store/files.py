"""Files and directories that are there whole or not at all, and stay once they are there.

What changes the disk is done by the functions of ``os`` alone, one system call each, in the order
that a crash or a power loss at any point leaves the old or the new.
"""

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

_PIECE = 2**22  # bytes


class CheckpointError(ValueError):
    """A network or checkpoint that cannot be saved or loaded; the message begins with the file."""


class CheckpointCorruptError(CheckpointError):
    """A file whose bytes are not those that were written."""


def write_file(path: str | os.PathLike, *pieces: bytes | memoryview) -> None:
    """Puts the pieces at ``path``; whatever happens meanwhile, the old file or the new is there.

    Raises:
        CheckpointError: the file cannot be written; the old one is as it was.
    """
    target = Path(os.path.realpath(path))  # a link stays, and what it points to is replaced
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}.tmp")
    with system_errors(path, "written", needed=sum(map(len, pieces))):
        with removed_on_failure(temporary):
            write_new(temporary, *pieces)  # beside the target: only there it can replace it
            os.replace(temporary, target)
        sync_directory(target.parent)


def write_new(path: Path, *pieces: bytes | memoryview) -> None:
    """Makes a file that was not there, and makes its bytes durable; its name is not yet."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    file = os.open(path, flags, 0o666)  # as open does: what the umask allows
    try:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:  # a system call may write less than it was given
                rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)


def read_whole(
    path: Path,
    *,
    size: int | None = None,
    most: int | None = None,
    seen: Callable[[memoryview], Any] | None = None,
) -> memoryview:
    """The bytes of a file that is no link; nothing is allocated before its size is checked.

    Args:
        path: The file.
        size: The bytes it should have.
        most: The bytes it may have.
        seen: Is called with one piece after the other while the next is read.

    Raises:
        ValueError: it is a link or no regular file, or has another size.
    """
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is a link, or no regular file")
    if size is not None and status.st_size != size:
        raise ValueError(f"has {status.st_size:,} bytes, not {size:,}")
    if most is not None and status.st_size > most:
        raise ValueError(f"has {status.st_size:,} bytes; {most:,} are allowed")
    data = memoryview(np.empty(status.st_size, np.uint8))  # a bytearray would be zeroed first
    with open(path, "rb") as file:
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            if (count := file.readinto(piece)) < len(piece):
                raise ValueError(f"has {at + count:,} bytes, not {len(data):,}")
            if seen is not None:
                seen(piece)
    return data


def make_directory(path: Path) -> None:
    """Makes a directory, and those missing above it, durably; one that is there is content."""
    if path.is_dir():
        return
    make_directory(path.parent)
    try:
        os.mkdir(path)
    except FileExistsError:
        if not path.is_dir():  # made meanwhile by another process
            raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable; Windows has no way to and needs none."""
    if os.name == "nt":
        return
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def remove(path: Path) -> None:
    """Deletes a file, a link or a directory with all in it, if it is there; follows no link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


@contextlib.contextmanager
def removed_on_failure(path: Path) -> Iterator[None]:
    """Deletes a temporary file or directory if the block does not end well, for any reason."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            remove(path)
        raise


@contextlib.contextmanager
def system_errors(
    path: str | os.PathLike, done: str, *, needed: int | None = None
) -> Iterator[None]:
    """Makes an error of the system in the block a ``CheckpointError``: ``path`` cannot be done.

    Args:
        path: What the message begins with.
        done: A participle, as in "written".
        needed: Bytes; given, they and those free beside ``path`` are told.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if needed is not None:
            with contextlib.suppress(OSError):
                free = shutil.disk_usage(os.path.dirname(os.path.realpath(path))).free
                reason += f" ({needed:,} bytes are needed, {free:,} are free)"
        raise CheckpointError(f"{path}: cannot be {done}: {reason}") from error
