"""One writer for a folder."""

import contextlib
import errno
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from .files import CheckpointError, make_directory, system_errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Keeps a folder, made if it is not there, for one writer while the block runs.

    The lock is ``flock`` on ``folder/.lock``, in which the number of the process stands. The system
    lifts it when the process ends, however it ends; the file stays and says nothing. Readers need
    no lock. It holds among the processes of one machine, and among machines where their file
    system carries ``flock`` over, as NFS does.

    Without ``fcntl``, that is on Windows, and, with a warning, on file systems that know no locks,
    nothing is locked: every checkpoint is still there whole or not at all, but two runs in one
    folder are not noticed, and sweep away what the other is just writing.

    Raises:
        CheckpointError: another holds the folder, or it cannot be locked.
    """
    folder = Path(folder)
    with system_errors(folder, "locked"):
        make_directory(folder)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        file = os.open(folder / ".lock", flags, 0o666)
    try:
        with system_errors(folder, "locked"):
            _acquire(file, folder)
        yield
    finally:
        os.close(file)  # which lifts the lock


def _acquire(file: int, folder: Path) -> None:
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                warnings.warn(f"{folder} cannot be locked: {error.strerror}", stacklevel=4)
                return
            if not isinstance(error, BlockingIOError):
                raise
            number = os.read(file, 20).decode(errors="replace").strip()
            holder = f"process {number}" if number.isdecimal() else "another process"
            raise CheckpointError(
                f"{folder} is in use by {holder}; let it end, or choose another folder"
            ) from None
    os.ftruncate(file, 0)
    os.write(file, f"{os.getpid()}\n".encode())
