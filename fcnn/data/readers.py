"""Readers of datasets on disk. Each gives ``(train, test)`` where the source has that split."""

import gzip
import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .columns import encode_labels, texts
from .dataset import Dataset, arrays, split

_CHUNK = 1 << 20  # a header may claim any size, so memory grows only as bytes arrive
_DIGITS = tuple("0123456789")

LONGEST_HEADER = 4_000  # bytes, of a .npy


def digits() -> tuple[Dataset, Dataset]:
    """1,797 scanned handwritten digits, shipped with the package: ``(train, test)``, 80 % and 20 %.

    ``x`` is float32 ``[n, 8, 8, 1]`` in [0, 1], ``y`` int32. The split is stratified and always the
    same.

    Source: the test set of Optical Recognition of Handwritten Digits (Alpaydin & Kaynak, 1998, UCI
    Machine Learning Repository, doi:10.24432/C50P49), licence CC BY 4.0; here scaled from 0..16.

    Example:
        >>> train, test = digits()
        >>> train
        <digits train: 1,438 examples, x float32[8,8,1], y int32[], 10 classes>
    """
    with resources.files(__package__).joinpath("digits.npz").open("rb") as file:
        stored = _read_npz(file, "digits.npz")
    x, y = _pictures(stored["x"], 16), stored["y"].astype(np.int32)
    train, test = split(arrays(x, y, classes=_DIGITS, name="digits"), 0.2, seed=0)
    return train, test.take(slice(None), name="digits test")


def mnist(folder: str | os.PathLike) -> tuple[Dataset, Dataset]:
    """``(train, test)`` from the four IDX files of MNIST, or of a set in its form, in ``folder``.

    ``x`` is float32 ``[n, h, w, 1]`` in [0, 1], 28 x 28 in MNIST, ``y`` int32. The classes are the
    numbers 0 to 9, or to the largest label. The files have their official names,
    ``train-images-idx3-ubyte`` and so on (``train-images.idx3-ubyte`` is found as well), and may be
    gzipped; ``idx`` reads files of other names.

    Raises:
        FileNotFoundError: one of the four is missing.
        ValueError: a file is damaged or something else; the message names it.
    """
    halves = []
    for half, part in (("train", "train"), ("test", "t10k")):
        images = _find(Path(folder), f"{part}-images", "idx3-ubyte")
        labels = _find(Path(folder), f"{part}-labels", "idx1-ubyte")
        halves.append((images, *_read_idx_pair(images, labels), f"mnist {half}"))
    (_, x, _, _), (images, x_test, _, _) = halves
    if x.shape[1:] != x_test.shape[1:]:
        (h, w), (height, width) = x_test.shape[1:], x.shape[1:]
        raise ValueError(
            f"{images}: pictures are {h} x {w}, in the training part {height} x {width}"
        )
    classes = _numbered(y for _, _, y, _ in halves)
    train, test = (arrays(_pictures(x, 255), y, classes=classes, name=n) for _, x, y, n in halves)
    return train, test


def idx(images: str | os.PathLike, labels: str | os.PathLike) -> Dataset:
    """The pictures and labels of two IDX files of bytes, as ``mnist`` gives them.

    Raises:
        FileNotFoundError: one is missing.
        ValueError: a file is damaged or something else, or their lengths differ.
    """
    images = Path(images)
    x, y = _read_idx_pair(images, Path(labels))
    return arrays(_pictures(x, 255), y, classes=_numbered([y]), name=images.name.partition(".")[0])


def npy(
    x: str | os.PathLike, y: str | os.PathLike, *, classes: Sequence[str] | None = None
) -> Dataset:
    """The dataset in two ``.npy`` files, memory-mapped: values are read when they are asked for.

    float64 becomes float32, in memory; other values are kept as they are stored.

    Args:
        x: The file of the inputs, ``[n, ...]``.
        y: The file of the targets.
        classes: The names of the labels 0, 1, ...

    Raises:
        FileNotFoundError: one is missing.
        ValueError: a file is damaged or holds Python objects, or the lengths differ.
    """
    columns = []
    for file in map(Path, (x, y)):
        try:
            with file.open("rb") as stream:
                _check_header(stream.read(12))
            columns.append(np.load(file, mmap_mode="r", allow_pickle=False).view(np.ndarray))
        except FileNotFoundError:
            raise
        except Exception as error:  # numpy's reader of headers raises many kinds
            raise ValueError(f"{file} is no .npy of numbers: {error}") from error
    return arrays(*columns, classes=classes, name=Path(x).stem)


def npz(file: str | os.PathLike) -> Dataset | tuple[Dataset, Dataset]:
    """The dataset in an ``.npz``: keys ``x`` and ``y``.

    With the keys ``x_train``, ``y_train``, ``x_test``, ``y_test`` it is a pair ``(train, test)``.
    ``classes``, the names of the labels, is optional; labels that are strings name their classes.
    Values are kept as they are stored: pictures are neither scaled nor given a channel axis.

    Raises:
        ValueError: the file is damaged, holds Python objects, or lacks these keys.
    """
    file = Path(file)
    with file.open("rb") as stream:
        stored = _read_npz(stream, str(file))
    classes = None if "classes" not in stored else tuple(map(str, stored["classes"].ravel()))
    try:
        if {"x", "y"} <= stored.keys():
            return arrays(stored["x"], stored["y"], classes=classes, name=file.stem)
        if {"x_train", "y_train", "x_test", "y_test"} <= stored.keys():
            if classes is None and stored["y_train"].dtype.kind in "SU":
                both = np.concatenate([stored["y_train"], stored["y_test"]])
                classes = encode_labels(texts(both))[1]
            return tuple(
                arrays(
                    stored[f"x_{part}"],
                    stored[f"y_{part}"],
                    classes=classes,
                    name=f"{file.stem} {part}",
                )
                for part in ("train", "test")
            )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from error
    raise ValueError(
        f"{file} has the keys {', '.join(stored) or 'none'}; it needs x and y, "
        "or x_train, y_train, x_test and y_test"
    )


def _pictures(raw: np.ndarray, white: int) -> np.ndarray:
    """Gray values 0 to ``white``, ``[n, h, w]``, as float32 ``[n, h, w, 1]`` in [0, 1]."""
    return np.divide(raw[..., None], np.float32(white))


def _read_idx_pair(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    x, y = _read_idx(images, 3), _read_idx(labels, 1)
    if len(x) != len(y):
        raise ValueError(f"{images} has {len(x)} pictures, {labels.name} has {len(y)} labels")
    return x, y.astype(np.int32)


def _numbered(labels: Iterable[np.ndarray]) -> tuple[str, ...]:
    """The numbers of the classes as their names, ten at least."""
    most = max(y.max(initial=9) for y in labels)
    return tuple(map(str, range(most + 1)))


def _find(folder: Path, stem: str, kind: str) -> Path:
    names = [f"{stem}{dot}{kind}{end}" for dot in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} has no {names[0]} and no {names[1]}")


def _read_idx(path: Path, rank: int) -> np.ndarray:
    """The bytes of an IDX file: a magic number, the sizes, the values; uint8 of that rank."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            with gzip.open(file) if zipped else file as stream:
                return _idx_values(stream, rank)
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error


def _idx_values(stream: BinaryIO, rank: int) -> np.ndarray:
    header = stream.read(4 + 4 * rank)
    if len(header) < 4 + 4 * rank:
        raise ValueError(f"ends within its header, after {len(header)} bytes")
    magic, *shape = np.frombuffer(header, ">u4").tolist()
    if magic != 0x800 + rank:
        raise ValueError(
            f"begins with {magic:#010x}; an IDX file like this has {0x800 + rank:#010x}"
        )
    size, values = math.prod(shape), bytearray()
    while len(values) <= size and (chunk := stream.read(min(_CHUNK, size + 1 - len(values)))):
        values += chunk
    if len(values) < size:
        raise ValueError(f"ends after {len(values):,} of {size:,} values")
    if len(values) > size:
        raise ValueError(f"goes on after its {size:,} values")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read_npz(file: BinaryIO, path: str) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz``; no pickle, and no memory for sizes that are only claimed."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.namelist()
            if twice := {member for member in members if members.count(member) > 1}:
                raise ValueError(f"holds two arrays called {', '.join(sorted(twice))}")
            return {
                member.removesuffix(".npy"): _npy(archive.read(member), member)
                for member in members
            }
    except Exception as error:  # of zipfile, zlib and numpy, of many kinds
        raise ValueError(f"{path}: {error}") from error


def _check_header(start: bytes) -> None:
    """Refuses a ``.npy`` that begins like this if its header is long: numpy takes memory for it,
    and Python's parser the more, the deeper it nests.

    Raises:
        ValueError: it is longer than that of any array of numbers.
    """
    length = int.from_bytes(start[8:10] if start[6:7] == b"\1" else start[8:12], "little")
    if start[:6] == b"\x93NUMPY" and length > LONGEST_HEADER:
        raise ValueError(f"its header has {length:,} bytes; {LONGEST_HEADER:,} are allowed")


def _npy(raw: bytes, member: str) -> np.ndarray:
    """The array of one member, which shares the memory of ``raw``."""
    _check_header(raw[:12])
    stream = io.BytesIO(raw)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{member} has version {version} of the .npy format; 1.0 and 2.0 are read")
    first = version == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError(f"{member} holds Python objects; store plain numbers or strings")
    at, size = stream.tell(), math.prod(shape) * dtype.itemsize
    if len(raw) - at != size:
        raise ValueError(f"{member} claims {size:,} bytes of values and has {len(raw) - at:,}")
    return np.ndarray(shape, dtype, raw, at, order="F" if fortran else "C")
