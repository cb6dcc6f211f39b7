"""Which reader a file is for, by what is in it."""

import os
from pathlib import Path

import numpy as np

from . import archives, reading
from .keras import read_keras
from .numpy_archives import read_npz
from .pytorch import is_legacy, read_pytorch
from .reading import WeightsError, naming
from .safetensors_files import read_safetensors
from .tensorflow_js import read_tensorflow_js


def read_weights(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays in a file of weights, ``{name: array}``, in its order.

    Its content tells what it is, not its ending: PyTorch, safetensors, Keras, TensorFlow.js (the
    manifest, or the folder it lies in) or an ``.npz``.

    Raises:
        OSError: it is not there, or may not be read.
        WeightsError: it is none of these, or damaged.
    """
    path = Path(path)
    if path.is_dir():
        return read_tensorflow_js(path)
    with path.open("rb") as file:
        start = file.read(32)
    if archives.is_zip(start):
        return _read_zip(path)
    if is_legacy(start):
        return read_pytorch(path)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return read_keras(path)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= reading.LONGEST_JSON:
        return read_safetensors(path)
    if start.lstrip()[:1] in (b"[", b"{"):
        return read_tensorflow_js(path)
    raise WeightsError(
        f"{path}: begins with {start[:12]!r}, as no file of PyTorch, safetensors, Keras, "
        "TensorFlow.js or NumPy (.npz) does"
    )


def _read_zip(path: Path) -> dict[str, np.ndarray]:
    with naming(path):
        names = archives.members(reading.whole(path))
    if any(name.endswith("/data.pkl") for name in names):
        return read_pytorch(path)
    if "model.weights.h5" in names:
        return read_keras(path)
    if all(name.endswith(".npy") for name in names):
        return read_npz(path)
    raise WeightsError(
        f"{path}: a zip of {', '.join(list(names)[:5])!r:.120}, as neither PyTorch nor Keras nor "
        "NumPy writes"
    )
