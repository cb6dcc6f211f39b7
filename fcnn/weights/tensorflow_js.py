"""Weights of TensorFlow.js: a manifest in JSON, and shards that hold the numbers.

The manifest is a list of groups, ``{"weights": [{"name", "shape", "dtype"}], "paths": [...]}``, or
stands under ``weightsManifest`` in a ``model.json``. The shards of a group, one after the other,
are its arrays in their order. With ``quantization``, ``{"dtype", "min", "scale"}``, numbers are
stored in fewer bytes: ``value = stored * scale + min``.

Source: https://github.com/tensorflow/tfjs, ``tfjs-core/src/io``.
"""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import reading
from .reading import WeightsError, naming

_DTYPES = {
    name: np.dtype(name) for name in ("float32", "float16", "int32", "uint8", "bool", "complex64")
}
_QUANTISED = ("uint8", "uint16", "float16")


def read_tensorflow_js(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays that a manifest tells of, in its order; quantised ones as what they stand for.

    These have up to four times the bytes of the shards.

    Args:
        path: The manifest, ``...weights_manifest.json`` or ``model.json``, or a folder with one of
            them; the shards lie beside it.

    Raises:
        OSError: the manifest or a shard is not there, or may not be read.
        WeightsError: something in them is wrong; the manifest is named.
    """
    path = Path(path)
    if path.is_dir():
        path = _manifest_in(path)
    text = reading.whole(path)
    with naming(path):
        groups = list(_groups(reading.json_value(text)))
        shards = [name for _, names in groups for name in names]
        if len(set(shards)) != len(shards):
            raise ValueError("names a shard twice")
    arrays: dict[str, np.ndarray] = {}
    for weights, names in groups:
        data = b"".join([reading.whole(path.parent / name) for name in names])
        with naming(path):
            for name, array in _arrays(weights, data):
                if name in arrays:
                    raise ValueError(f"tells of {name!r:.80} twice")
                arrays[name] = array
    return arrays


def _manifest_in(folder: Path) -> Path:
    found = sorted([*folder.glob("*weights_manifest.json"), *folder.glob("model.json")])
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise WeightsError(f"{folder}: needs one *weights_manifest.json or model.json, has {names}")
    return found[0]


def _groups(manifest: Any) -> Iterator[tuple[list, list[str]]]:
    """The weights and the shards of every group."""
    if isinstance(manifest, dict):
        manifest = manifest.get("weightsManifest")
    if not isinstance(manifest, list):
        raise ValueError("is no manifest of weights: neither a list nor with weightsManifest")
    for group in manifest:
        match group:
            case {"weights": list(weights), "paths": list(names)}:
                for name in names:
                    _check_name(name)
                yield weights, names
            case _:
                raise ValueError("has a group without weights or without paths")


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\:\0"):
        raise ValueError(f"has the shard {name!r:.80}; shards are files beside the manifest")


def _arrays(weights: list, data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    at = 0
    for entry in weights:
        name, shape, dtype, quantised = _entry(entry)
        stored = _DTYPES.get(dtype) if quantised is None else np.dtype(quantised["dtype"])
        if stored is None:
            raise ValueError(f"{name!r:.80} has the type {dtype!r:.20}, which is not read")
        size = math.prod(shape) * stored.itemsize
        if at + size > len(data):
            raise ValueError(f"{name!r:.80} needs {size:,} bytes; {len(data) - at:,} are left")
        form = reading.stored_type(stored).newbyteorder("<")
        raw = np.ndarray(shape, form, data, at) if size else np.empty(shape, form)
        array = reading.as_type(reading.native(raw), stored)
        at += size
        yield name, array if quantised is None else _dequantised(array, dtype, quantised)
    if at != len(data):
        raise ValueError(f"has shards of {len(data):,} bytes and tells of {at:,}")


def _entry(entry: Any) -> tuple[str, tuple[int, ...], str, Mapping[str, Any] | None]:
    match entry:
        case {"name": str(name), "shape": shape, "dtype": str(dtype)}:
            quantised = entry.get("quantization")
        case _:
            raise ValueError("has weights without a name, a shape or a type")
    match quantised:
        case None | {"dtype": "float16"}:
            pass
        case {"dtype": "uint8" | "uint16", "min": int() | float(), "scale": int() | float()}:
            if not math.isfinite(quantised["min"]) or not math.isfinite(quantised["scale"]):
                raise ValueError(f"{name!r:.80} has a scale or a minimum that is not finite")
        case _:
            raise ValueError(f"{name!r:.80} is quantised in a way that is not known")
    if quantised is not None and dtype not in ("float32", "int32"):
        raise ValueError(f"{name!r:.80}, {dtype!r:.20}, cannot be quantised")
    return name, reading.shape_of(shape), dtype, quantised


def _dequantised(array: np.ndarray, dtype: str, quantised: Mapping[str, Any]) -> np.ndarray:
    if quantised["dtype"] == "float16":
        return array.astype(dtype)
    values = array * float(quantised["scale"]) + float(quantised["min"])  # in float64, as there
    return (np.floor(values + 0.5) if dtype == "int32" else values).astype(dtype)
