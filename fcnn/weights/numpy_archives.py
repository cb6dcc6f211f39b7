"""The arrays of an ``.npz``, stored or compressed, without pickles."""

import io
import math
import os

import numpy as np

from . import archives, reading
from .reading import naming


def read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of numbers in an ``.npz``, in its order.

    Raises:
        WeightsError: it is damaged, or holds something else than arrays of numbers.
    """
    data = reading.whole(path)
    with naming(path):
        members = archives.members(data)
        reading.check_room((member.file_size for member in members.values()), len(data))
        return {
            name.removesuffix(".npy"): _array(archives.content(data, member, packed=True), name)
            for name, member in members.items()
        }


def _array(raw: memoryview, name: str) -> np.ndarray:
    stream = io.BytesIO(raw[:20_000])  # NumPy reads headers of at most 10,000 bytes
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name!r:.80} has version {version} of the .npy format, not 1.0 or 2.0")
    first = version == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.kind not in "biufc":
        raise ValueError(f"{name!r:.80} has the type {dtype!s:.40}, which is no number")
    at, size = stream.tell(), math.prod(reading.shape_of(shape)) * dtype.itemsize
    if len(raw) - at != size:
        raise ValueError(f"{name!r:.80} claims {size:,} bytes of values and has {len(raw) - at:,}")
    return reading.native(np.ndarray(shape, dtype, raw, at, order="F" if fortran else "C"))
