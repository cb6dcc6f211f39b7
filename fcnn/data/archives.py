"""Where files lie: a folder, a zip or a tar, each read in place and by several threads at once.

Each has ``path``; ``names``, the files in it, sorted, with ``/`` between the parts, without hidden
ones; ``read(name)``, the bytes of a file; and ``stamp(name)``, which changes with the file.
"""

import functools
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .pictures import LARGEST_FILE, file_bytes

UNPACKED = 2**30  # bytes; a compressed tar is read whole, and at most so much of it
ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


class Folder:
    """The files below a folder; links are followed, but not in circles."""

    def __init__(self, path: Path):
        self.path = path
        self._root = os.path.join(path, "")

    @functools.cached_property
    def names(self) -> list[str]:
        """Those found by a walk, sorted."""
        return sorted(_walk(self._root, "", ()))

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        return file_bytes(os.path.join(self._root, name))

    def stamp(self, name: str) -> tuple:
        """Size and time of change."""
        found = os.stat(os.path.join(self._root, name))
        return found.st_size, found.st_mtime_ns


def _walk(root: str, below: str, parents: tuple) -> Iterator[str]:
    found = os.stat(root + below)
    here = (found.st_dev, found.st_ino)
    if here in parents:  # a link that leads back to where it lies
        return
    with os.scandir(root + below) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_symlink():
                deeper = os.path.isdir(entry.path)
                # a link that leads nowhere is a file that cannot be read
                known = os.path.isfile(entry.path) or not os.path.exists(entry.path)
            else:
                deeper, known = entry.is_dir(), entry.is_file()
            if deeper:
                yield from _walk(root, f"{below}{entry.name}/", (*parents, here))
            elif known:
                yield below + entry.name


class _Packed:
    """Members that lie in one file as ranges of bytes."""

    def __init__(self, path: Path):
        self.path = path
        found = path.stat()
        self._stamp = (found.st_size, found.st_mtime_ns)
        self._members: dict[str, Any] = {}

    @property
    def names(self) -> list[str]:
        """Those of the members, sorted."""
        return sorted(self._members)

    def stamp(self, name: str) -> tuple:
        """Size and time of change of the archive."""
        return self._stamp

    def _add(self, name: str, member: Any) -> None:
        parts = name.split("/")
        if name.startswith(("/", "\\")) or ".." in parts or (len(name) > 1 and name[1] == ":"):
            raise ValueError(f"{self.path}: the name {name!r} leads out of the archive")
        parts = [part for part in parts if part not in ("", ".")]
        if any(part.startswith(".") for part in parts):
            return
        name = "/".join(parts)
        if name in self._members:
            raise ValueError(f"{self.path} holds two files called {name}")
        self._members[name] = member

    def _member(self, name: str) -> Any:
        if name not in self._members:
            raise ValueError("the archive has no such file")
        return self._members[name]

    def _range(self, start: int, length: int) -> bytes:
        if length > LARGEST_FILE:
            raise ValueError(f"{length:,} bytes are more than {LARGEST_FILE:,}")
        if start < 0:
            raise ValueError("the archive is damaged: it says that the file begins before it")
        with self.path.open("rb", buffering=0) as file:
            file.seek(start)
            raw = file.read(length)
        if len(raw) < length:
            raise ValueError("the archive ends within it")
        return raw


class Zip(_Packed):
    """The files in a zip; every read opens it anew, so threads need no lock."""

    def __init__(self, path: Path):
        super().__init__(path)
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error
        for member in members:
            if stat.S_ISLNK(member.external_attr >> 16):
                raise ValueError(f"{path}: {member.filename} is a link")
            if not member.is_dir():
                self._add(member.filename, member)

    def read(self, name: str) -> bytes:
        """The bytes of a file, once their checksum is right."""
        member = self._member(name)
        if member.flag_bits & 1:
            raise ValueError("it is encrypted")
        if member.file_size > LARGEST_FILE:
            raise ValueError(f"{member.file_size:,} bytes are more than {LARGEST_FILE:,}")
        header = self._range(member.header_offset, 30)
        if header[:4] != b"PK\3\4":
            raise ValueError("the archive is damaged: no file begins where it should")
        title, extra = struct.unpack("<HH", header[26:30])
        raw = self._range(member.header_offset + 30 + title + extra, member.compress_size)
        if member.compress_type == zipfile.ZIP_DEFLATED:
            try:
                raw = zlib.decompressobj(-15).decompress(raw, member.file_size + 1)
            except zlib.error as error:
                raise ValueError(f"the archive is damaged: {error}") from error
        elif member.compress_type != zipfile.ZIP_STORED:
            raise ValueError("it is compressed by another method than deflate")
        if len(raw) != member.file_size or zlib.crc32(raw) != member.CRC:
            raise ValueError("the archive is damaged: the checksum is wrong")
        return raw


class Tar(_Packed):
    """The files in a tar. A compressed one can only be read from its beginning, so it is kept.

    That is, the files whose names end in one of ``suffixes``, at most ``UNPACKED`` bytes of them.
    """

    def __init__(self, path: Path, suffixes: tuple[str, ...]):
        super().__init__(path)
        plain = path.name.lower().endswith(".tar")
        size = 0
        try:
            with tarfile.open(path, "r:" if plain else "r:*") as archive:
                for member in archive:
                    if member.issym() or member.islnk():
                        raise ValueError(f"{member.name} is a link")
                    if member.issparse() or not (member.isreg() or member.isdir()):
                        raise ValueError(f"{member.name} is no plain file")
                    if member.isdir():
                        continue
                    if plain or not member.name.lower().endswith(suffixes):
                        self._add(member.name, (member.offset_data, member.size))
                        continue
                    size += member.size
                    if size > UNPACKED:
                        raise ValueError(
                            f"compressed, and more than {UNPACKED:,} bytes in all; "
                            "unpack it, or pack it as .zip or .tar"
                        )
                    self._add(member.name, archive.extractfile(member).read())
        except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, FileNotFoundError | PermissionError):
                raise
            raise ValueError(f"{path}: {error}") from error
        except ValueError as error:
            words = str(error)
            raise ValueError(words if words.startswith(str(path)) else f"{path}: {words}") from None

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        member = self._member(name)
        return member if isinstance(member, bytes) else self._range(*member)


def files(path: str | os.PathLike, suffixes: tuple[str, ...]) -> Folder | Zip | Tar:
    """The files below a folder, or in an archive, of which only ``suffixes`` will be read.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: it is neither, or a member of the archive is a link or leads out of it.
    """
    path = Path(path)
    if path.is_dir():
        return Folder(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    name = path.name.lower()
    if name.endswith(".zip"):
        return Zip(path)
    if name.endswith(ENDINGS):
        return Tar(path, suffixes)
    raise ValueError(f"{path} is neither a folder nor an archive ({', '.join(ENDINGS)})")
