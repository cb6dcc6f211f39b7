"""Files of data that were damaged, or made to do harm, and what reads them."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import fcnn
from fcnn.data import audio

from .hostile import damaged

NUMBERS = np.random.Generator(np.random.Philox(0)).integers(0, 256, (4, 5, 5), np.uint8)
LABELS = np.array([0, 1, 1, 0], np.uint8)


class Harm:
    """What unpickles to a call of ``os.system``."""

    def __reduce__(self):
        return os.system, ("true",)


def idx(values: np.ndarray) -> bytes:
    """An IDX file of bytes."""
    return struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape) + bytes(values)


def npy(values: Any) -> bytes:
    """An .npy file."""
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def npz(save: Callable = np.savez, **columns: Any) -> bytes:
    """An .npz file."""
    file = io.BytesIO()
    save(file, **columns)
    return file.getvalue()


def cifar(**more: Any) -> bytes:
    """A pickled batch of CIFAR-100."""
    planes = np.resize(NUMBERS, (2, 3072))
    entries = {"data": planes, "fine_labels": [3, 4], "coarse_labels": [1, 0], **more}
    return pickle.dumps({key.encode(): value for key, value in entries.items()}, protocol=2)


def wav(channels: int = 1, bits: int = 16) -> bytes:
    """A WAV file of a hundred samples."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, 8000, 8000 * block, block, bits)
    chunks = struct.pack("<4sI", b"fmt ", 16) + form + struct.pack("<4sI", b"data", 100 * block)
    body = b"WAVE" + chunks + bytes(100 * block)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def picture(form: str) -> bytes:
    """A small picture in a format of Pillow."""
    file = io.BytesIO()
    Image.fromarray(np.resize(NUMBERS, (6, 6, 3))).save(file, form)
    return file.getvalue()


def pictures() -> list[tuple[str, bytes]]:
    """Members of an archive of pictures in two classes."""
    forms = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
    return [(f"{'ab'[i % 2]}/{i}.{form.lower()}", picture(form)) for i, form in enumerate(forms)]


def zipped(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def tarred(members: list[tuple[str, bytes]], mode: str = "w", **change: Any) -> bytes:
    """A tar; ``change`` is said of its last member."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for number, (name, data) in enumerate(members):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if number == len(members) - 1:
                for key, value in change.items():
                    setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def read_all_of(found: Any) -> None:
    """Asks a dataset, or both of a pair, for every example."""
    for dataset in found if isinstance(found, tuple) else (found,):
        dataset[np.arange(len(dataset))]


class Source:
    """A kind of file: its name, whole ones, harmful ones, and what reads it in a folder."""

    def __init__(self, name: str, good: list[bytes], bad: list[bytes], read: Callable):
        self.name, self.good, self.bad, self.read = name, good, bad, read

    def files(self, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
        """The harmful ones, and then damaged ones."""
        yield from (("made", file) for file in self.bad)
        numbers = np.random.Generator(np.random.Philox(seed))
        for number in range(count - len(self.bad)):
            yield "damaged", damaged(self.good[number % len(self.good)], numbers)


def sources(folder: Path) -> list[Source]:
    """All kinds; what stands beside the file in question is written to the folder."""
    (folder / "labels").write_bytes(idx(LABELS))
    (folder / "y.npy").write_bytes(npy(LABELS))
    (folder / "cifar").mkdir(exist_ok=True)
    (folder / "cifar" / "test").write_bytes(cifar())
    (folder / "binary").mkdir(exist_ok=True)
    record = bytes([1, 2]) + bytes(3072)
    (folder / "binary" / "test.bin").write_bytes(2 * record)
    objects = np.array([Harm(), 1], object)
    pickles = [pickle.dumps(Harm(), protocol) for protocol in range(6)]
    pickles += [b"\x80\x04]r\x00\x00\x00\x10.", b"cos\nsystem\n(S'true'\ntR.", b""]
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }\n"
    claims = [
        b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text
        for text in (header % b"10**9", header % b"1000000000000", header % (b"-" * 9000 + b"1"))
    ]
    claims += [b"\x93NUMPY\2\0\xff\xff\xff\xff" + claims[1][10:], claims[1].replace(b"<f8", b"|O8")]
    members = pictures()
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(
        ">I4sIIBBBBBI", 13, b"IHDR", 100_000, 100_000, 8, 2, 0, 0, 0, 0
    )
    leading = [
        [(name, members[0][1]), *members] for name in ("../x.png", "/x.png", "a/../../x.png")
    ]
    link = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0}
    device = {"type": tarfile.CHRTYPE, "size": 0}
    linked = zipfile.ZipInfo("a/link.png")
    linked.external_attr = 0o120777 << 16
    zips = [zipped(m) for m in leading] + [zipped([*members, ("a/b.png", bomb)]), zipped([])]
    zips += [zipped([*members, (linked, b"/etc/passwd")])]  # type: ignore[list-item]
    tars = [tarred(m) for m in leading] + [tarred(members, **link), tarred(members, **device)]
    tars += [tarred([*members, ("a/b.png", bomb)]), tarred([])]
    ones = npy(np.ones(4))
    big = b"RIFF" + struct.pack("<I", 2**32 - 1) + wav()[8:]
    return [
        Source(
            "images", [idx(NUMBERS), gzip.compress(idx(NUMBERS))],
            [struct.pack(">4I", 0x803, *[2**32 - 1] * 3), gzip.compress(bytes(10**7)), *pickles],
            lambda path: fcnn.data.idx(path, folder / "labels"),
        ),
        Source(
            "x.npy", [npy(NUMBERS), npy(NUMBERS.astype(">f8"))],
            [*claims, npy(objects), *pickles, npz(x=NUMBERS)],
            lambda path: fcnn.data.npy(path, folder / "y.npy"),
        ),
        Source(
            "data.npz",
            [npz(s, x=NUMBERS, y=LABELS) for s in (np.savez, np.savez_compressed)],
            [
                *(zipped([("x.npy", claim), ("y.npy", ones)]) for claim in claims),
                *(zipped([("x.npy", raw), ("y.npy", ones)]) for raw in pickles),
                *(npz(x=objects, y=LABELS), npz(x=NUMBERS, y=objects), *pickles, zipped([])),
            ],
            fcnn.data.npz,
        ),
        Source(
            "cifar/train", [cifar()],
            [*pickles, cifar(more=Harm()), cifar(data=objects), cifar(fine_labels=[10**30, 1])],
            lambda path: fcnn.data.cifar100(path.parent),
        ),
        Source(
            "binary/train.bin", [2 * record], [record + b"x", b"\xff" * len(record)],
            lambda path: fcnn.data.cifar100(path.parent),
        ),
        Source(
            "sound.wav", [wav(), wav(2, 8), wav(1, 24)], [big, wav()[:44], *pickles], audio.wav
        ),
        Source(
            "pictures.zip", [zipped(members), zipped(members, zipfile.ZIP_STORED)], zips,
            lambda path: fcnn.data.folder(path, size=4),
        ),
        Source(
            "pictures.tar", [tarred(members)], tars, lambda path: fcnn.data.folder(path, size=4)
        ),
        Source(
            "pictures.tgz", [tarred(members, "w:gz")], [gzip.compress(tar) for tar in tars],
            lambda path: fcnn.data.folder(path, size=4),
        ),
        *(
            Source(
                f"one.{form.lower()}", [picture(form)], [bomb, *pickles],
                lambda path: fcnn.data.pictures.picture(path),
            )
            for form in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
        ),
    ]  # fmt: skip
