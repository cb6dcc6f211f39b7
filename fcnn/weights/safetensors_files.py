"""The safetensors format: the length of a header, the header in JSON, and bytes in a row.

``{name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}`` is the header, with an
entry ``__metadata__`` of texts where there are some. It is so little that it is read and written
here: the package of that name takes two tensors of one name, and writes arrays wrong that are not
in C order.

Source: https://github.com/huggingface/safetensors, "Format".
"""

import contextlib
import json
import math
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from . import reading
from .reading import WeightsError, naming

_METADATA = "__metadata__"
_DTYPES = {
    name: np.dtype(dtype)
    for name, dtype in {
        **{"BOOL": "bool", "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64"},
        **{"I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "C64": "complex64"},
        **{"F16": "float16", "F32": "float32", "F64": "float64", "BF16": ml_dtypes.bfloat16},
        **{"F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2},
        **{"F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz},
        "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    }.items()
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def read_safetensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, in the order of its header.

    Raises:
        OSError: it is not there, or may not be read.
        WeightsError: it is damaged, or has types that NumPy and ml_dtypes lack.
    """
    data = reading.whole(path)
    with naming(path):
        entries, start = _header(data)
        return {name: _array(data, start, entry) for name, entry in entries.items()}


def write_safetensors(
    path: str | os.PathLike,
    arrays: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes arrays to a safetensors file, atomically: the old file or the new one is there.

    PyTorch reads it by ``safetensors.torch.load_file``, and then ``load_state_dict`` takes it.

    Args:
        path: The file.
        arrays: By name; of NumPy or jax, in any order of memory.
        metadata: Texts by name, kept beside them.

    Example:
        >>> import numpy as np, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = f"{folder}/small.safetensors"
        ...     write_safetensors(file, {"kernel": np.eye(2, dtype="float32").T})
        ...     read_safetensors(file)
        {'kernel': array([[1., 0.],
               [0., 1.]], dtype=float32)}

    Raises:
        TypeError: a name or a text of the metadata is no text.
        WeightsError: an array has a type the format lacks, or the file cannot be written; the old
            one is as it was.
    """
    texts = [*arrays, *(metadata or {}).keys(), *(metadata or {}).values()]
    if wrong := [text for text in texts if not isinstance(text, str)]:
        raise TypeError(f"names and metadata must be text, got {wrong[0]!r:.80}")
    with naming(path):
        arrays = {name: _native(np.asarray(array)) for name, array in arrays.items()}
        header = _described(arrays, metadata)
    _commit(path, _pieces(header, arrays))


def _described(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None) -> bytes:
    entries: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    ends, at = {}, 0
    for name in _in_file(arrays):
        at += arrays[name].nbytes
        ends[name] = at
    for name, array in arrays.items():
        if array.dtype not in _NAMES or name == _METADATA:
            raise ValueError(f"cannot hold {name!r:.80} of type {array.dtype}")
        reading.shape_of(array.shape)
        offsets = [ends[name] - array.nbytes, ends[name]]
        entries[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": array.shape,
            "data_offsets": offsets,
        }
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)  # so that the numbers are aligned
    reading.json_value(text)  # what is written can be read
    return len(text).to_bytes(8, "little") + text


def _native(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _in_file(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """The widest numbers first: whatever the shapes, all are aligned."""
    return sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)


def _pieces(header: bytes, arrays: Mapping[str, np.ndarray]) -> Iterable[Any]:
    yield header
    for name in _in_file(arrays):
        array = arrays[name].view(reading.stored_type(arrays[name].dtype))
        yield np.asarray(array, array.dtype.newbyteorder("<"), order="C").data


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The entries of the tensors, and where the bytes begin that they tell of."""
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 8 < start <= min(len(data), 8 + reading.LONGEST_JSON):
        raise ValueError(f"is no safetensors file: its header would have {start - 8:,} bytes")
    entries = reading.json_value(data[8:start])
    if not isinstance(entries, dict):
        raise ValueError("is no safetensors file: its header is no object")
    entries.pop(_METADATA, None)
    end = 0
    for name, entry in sorted(entries.items(), key=_offsets):
        begin, next_end = _offsets((name, entry))
        dtype, shape = _DTYPES.get(entry["dtype"]), reading.shape_of(entry["shape"])
        if dtype is None:
            raise ValueError(f"{name!r:.80} has the type {entry['dtype']!r:.20}, which is unknown")
        if begin != end or next_end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(
                f"{name!r:.80}, {entry['dtype']} of shape {list(shape)}, cannot lie from byte "
                f"{begin:,} to {next_end:,}; the one before ends at {end:,}"
            )
        end = next_end
    if start + end != len(data):
        raise ValueError(f"has {len(data) - start:,} bytes of numbers; its header tells of {end:,}")
    return entries, start


def _offsets(item: tuple[str, Any]) -> tuple[int, int]:
    name, entry = item
    match entry:
        case {"dtype": str(), "shape": list(), "data_offsets": [int(begin), int(end)]}:
            return begin, end
    raise ValueError(f"{name!r:.80} is described by {str(entry)!r:.80}")


def _array(data: bytes, start: int, entry: Mapping[str, Any]) -> np.ndarray:
    dtype, at = _DTYPES[entry["dtype"]], start + entry["data_offsets"][0]
    stored = reading.stored_type(dtype).newbyteorder("<")
    if 0 in entry["shape"]:
        return np.empty(entry["shape"], dtype)
    return reading.as_type(reading.native(np.ndarray(entry["shape"], stored, data, at)), dtype)


def _commit(path: str | os.PathLike, pieces: Iterable[Any]) -> None:
    target = Path(os.path.realpath(path))  # a link stays, and what it points to is replaced
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            with open(temporary, "xb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        if os.name != "nt":  # Windows has no way to and needs none
            directory = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
    except OSError as error:
        raise WeightsError(
            f"{os.fspath(path)}: cannot be written: {error.strerror or error}"
        ) from error
