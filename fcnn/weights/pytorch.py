"""Files of PyTorch (``.pt``, ``.pth``, ``.th``), read without PyTorch, and without running them.

Since PyTorch 1.6 a file is a zip of stored members:

    <root>/data.pkl      a pickle that says which tensors there are, and on which storage each lies
    <root>/data/<key>    the bytes of a storage
    <root>/byteorder     "little" or "big"

Before, it was a row of pickles (a magic number, a version, the sizes of C's types, the same as
``data.pkl``, the keys of the storages), and then for every key a count and the bytes.
"""

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from . import archives, pickles, reading
from .pickles import Storage, Tensor
from .reading import naming

_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number, as a pickle ends with it
_VERSION = 1001
_USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "params", "weights")
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile
_DEEPEST = 2  # dicts within dicts that are looked through


def read_pytorch(
    path: str | os.PathLike, *, key: str | None = None, sha256: str | None = None
) -> dict[str, np.ndarray]:
    """The tensors of a state dict in a file of ``torch.save``, as arrays in the file's order.

    The state dict may lie in a checkpoint, ``{"state_dict": ..., "epoch": 3}``, if there is only
    one in it. The prefixes ``module.`` (of DataParallel) and ``_orig_mod.`` (of torch.compile) are
    taken off where every name has them; what in a state dict is no tensor is left out. bfloat16 and
    float8 have the types of ml_dtypes.

    Nothing in the file is run. A file of the old form has no checksum, so that damage may go
    unnoticed: give ``sha256``, or convert it once by ``write_safetensors``.

    Args:
        path: The file.
        key: Where the state dict lies in the checkpoint, if there are several: ``"ema"``, or
            ``"model/head"`` for one within another; ``""`` is the whole.
        sha256: What the bytes of the file must have, as 64 hexadecimal digits.

    Raises:
        OSError: it is not there, or may not be read.
        WeightsError: it is damaged, holds something else than weights, or several state dicts.
    """
    data = reading.whole(path)
    with naming(path):
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256.lower():
            raise ValueError(
                f"has the SHA-256 {hashlib.sha256(data).hexdigest()}, not {sha256!r:.80}"
            )
        value, row, big = _opened(data)
        tensors = _without_prefixes(_state_dict(value, key))
        sizes = (math.prod(t.shape) * t.dtype.itemsize for t in tensors.values())
        reading.check_room(sizes, len(data))
        return {name: _array(t, row, big) for name, t in tensors.items()}


def is_legacy(data: bytes) -> bool:
    """Whether a file of before PyTorch 1.6 begins here."""
    return data[:1] == b"\x80" and _MAGIC in data[:32]


def _opened(data: bytes) -> tuple[Any, dict[str, memoryview], bool]:
    """What the file describes, the bytes of its storages, and whether they are big-endian."""
    if archives.is_zip(data):
        return _opened_zip(data)
    if not is_legacy(data):
        if data[:1] == b"\x80":
            raise ValueError("is a pickle, but not one that torch.save wrote")
        raise ValueError("is no file of torch.save")
    parts = [pickles.described(data)]
    for _ in range(4):
        parts.append(pickles.described(data, parts[-1].end))
    _, version, _, described, keys = parts
    if type(version.value) is not int or version.value != _VERSION:
        raise ValueError(f"has another protocol than {_VERSION}")
    row = _row(data, keys.end, keys.value, described.storages)
    return described.value, row, False


def _opened_zip(data: bytes) -> tuple[Any, dict[str, memoryview], bool]:
    members = archives.members(data)
    roots = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise ValueError("is a zip without a data.pkl, or with several: not of torch.save")
    root = roots[0]
    order = members.get(f"{root}byteorder")
    order = b"little" if order is None else bytes(archives.content(data, order))
    if order not in (b"little", b"big"):
        raise ValueError(f"has the order of bytes {order!r:.20}")
    pickle = archives.content(data, members[f"{root}data.pkl"])
    if len(pickle) > pickles.LONGEST:
        raise ValueError(f"has a data.pkl of {len(pickle):,} bytes; {pickles.LONGEST:,} are read")
    described = pickles.described(bytes(pickle))
    row = {
        key: archives.content(data, members[f"{root}data/{key}"])
        for key in described.storages
        if f"{root}data/{key}" in members
    }
    return described.value, row, order == b"big"


def _row(data: bytes, at: int, keys: Any, known: Mapping[str, Storage]) -> dict[str, memoryview]:
    """The storages of the old form: each is a count of numbers and their bytes.

    How wide the numbers are, only what the pickle tells of them says.
    """
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("has no list of the keys of its storages")
    row: dict[str, memoryview] = {}
    for key in keys:
        if key not in known or key in row:
            raise ValueError(f"has a storage {key!r:.40} twice, or one that no tensor tells of")
        count = int.from_bytes(data[at : at + 8], "little")
        start, at = at + 8, at + 8 + count * known[key].dtype.itemsize
        if at > len(data):
            raise ValueError(f"ends within the storage {key!r:.40}")
        row[key] = memoryview(data)[start:at]
    if at != len(data):
        raise ValueError(f"goes on for {len(data) - at:,} bytes after its last storage")
    return row


def _array(tensor: Tensor, row: Mapping[str, memoryview], big: bool) -> np.ndarray:
    key, size = tensor.storage.key, tensor.storage.size
    raw, dtype = row.get(key), reading.stored_type(tensor.dtype)
    if raw is None or len(raw) != size:
        there = "is not there" if raw is None else f"has {len(raw):,} bytes"
        raise ValueError(f"the storage {key!r:.40} of {size:,} bytes {there}")
    if 0 in tensor.shape:
        return np.empty(tensor.shape, tensor.dtype)
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    dtype = dtype.newbyteorder(">" if big else "<")
    view = np.ndarray(tensor.shape, dtype, raw, tensor.offset, strides)
    return reading.as_type(reading.native(view), tensor.dtype)


def _state_dict(value: Any, key: str | None) -> dict[str, Tensor]:
    """The tensors, by name, of the one dict that has some, or of the one that is asked for."""
    found = dict(_dicts(value, "", _DEEPEST, set()))
    if key is not None:
        if key not in found:
            raise ValueError(f"has no state dict {key!r:.80}; {_listed(found)}")
        return found[key]
    if "" in found and any(name in found for name in _USUAL):
        del found[""]  # single tensors beside what is called like a state dict
    if len(found) != 1:
        choose = "; choose one by key=" if found else ""
        raise ValueError(f"holds {len(found)} state dicts; {_listed(found)}{choose}")
    return next(iter(found.values()))


def _dicts(
    value: Any, path: str, deeper: int, seen: set[tuple[int, int]]
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every dict with tensors in it, and the names that lead to it."""
    if not isinstance(value, dict) or (id(value), deeper) in seen:
        return
    seen.add((id(value), deeper))
    entries = {name: entry for name, entry in value.items() if isinstance(name, str)}
    tensors = {name: entry for name, entry in entries.items() if isinstance(entry, Tensor)}
    if tensors:
        yield path, tensors
    if deeper:
        for name, entry in entries.items():
            yield from _dicts(entry, f"{path}/{name}" if path else name, deeper - 1, seen)


def _listed(found: Mapping[str, Mapping]) -> str:
    if not found:
        return "no dict in it has tensors, by names, in it"
    shown = [f"{name!r:.40} of {len(tensors)} tensors" for name, tensors in found.items()]
    return "there are " + ", ".join(shown[:10]) + (", ..." if len(shown) > 10 else "")


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in (*_PREFIXES, *_PREFIXES):  # in either order
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
