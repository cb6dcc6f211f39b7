"""One file, written whole or not at all."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path


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
    try:
        try:
            with open(temporary, "xb") as file:  # beside the target: only there it can replace it
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_directory(target.parent)
    except OSError as error:
        reason = _reason(error, target, pieces)
        raise CheckpointError(f"{path}: cannot be written: {reason}") from error


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable; Windows has no way to and needs none."""
    if os.name == "nt":
        return
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _reason(error: OSError, target: Path, pieces: tuple) -> str:
    text = error.strerror or str(error)
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(target.parent).free
        text += f" ({sum(map(len, pieces)):,} bytes are needed, {free:,} are free)"
    return text
