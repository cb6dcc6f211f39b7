"""Nested dicts of arrays as a zip of ``.npy`` files, exactly and without a clock.

``encode`` gives the bytes of the zip and a ``tree``, ``{path: {"dtype", "shape"}}``, that tells
what is in it, in its order. Members are stored, not compressed, and called ``<path>.npy``. What
NumPy cannot name is stored as unsigned integers: bfloat16 and its like as their bits, a typed PRNG
key as its key data (the tree tells which generator under ``"key"``). An empty dict has no member
and is ``{}`` in the tree.

``decode`` walks through the zip with the tree in hand. It takes no size from the zip and copies
nothing but the arrays, so a file can claim nothing that its bytes do not hold.
"""

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from ..core import trees

MOST_TENSORS, LONGEST_NAME, HIGHEST_RANK = 20_000, 512, 16

_PLAIN = ("bool", *(f"{k}{b}" for k in ("int", "uint") for b in (8, 16, 32, 64)))
_PLAIN += ("float16", "float32", "float64", "complex64", "complex128")
_AS_BITS = (
    *("bfloat16", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn"),
    *("float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
    *("float4_e2m1fn", "int2", "int4", "uint2", "uint4"),
)
DTYPES = {name: np.dtype(name) for name in _PLAIN}
DTYPES |= {n: np.dtype(getattr(ml_dtypes, n)) for n in _AS_BITS if hasattr(ml_dtypes, n)}
_GENERATORS = ("threefry2x32", "rbg", "unsafe_rbg")

_LOCAL_HEADER = struct.Struct("<4s2xHH16xHH")  # signature, flags, method; lengths of name, extra


def encode(values: Mapping[str, Any]) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """The zip of a tree of arrays, and what is in it.

    Raises:
        TypeError: something in the tree is neither a dict nor an array of numbers.
        ValueError: it is beyond the limits.
    """
    tree: dict[str, dict[str, Any]] = {}

    def members():  # one at a time, so that only one tensor is in memory twice
        for path, leaf in sorted(_leaves(values, ())):
            if isinstance(leaf, dict):
                tree[path] = {}
                continue
            array, tree[path] = _stored(leaf, path)
            file = io.BytesIO()
            np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
            yield f"{path}.npy", file.getvalue()

    data = zipped(members())
    check_tree(tree)
    return data, tree


def decode(data: memoryview, tree: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of arrays in a zip that ``encode`` made.

    Arrays are those of jax, or numpy's where jax would narrow them (64 bits without x64).

    Raises:
        ValueError: the zip and the tree do not agree.
    """
    check_tree(tree)
    leaves, at = {}, 0
    for path, entry in tree.items():
        if not entry:
            leaves[path] = {}
            continue
        array, at = _read_npy(data, member_start(data, at, f"{path}.npy"), entry, path)
        leaves[path] = _restored(array, entry)
    return trees.nested(leaves)


def zipped(members: Iterable[tuple[str, Any]], comment: bytes = b"") -> bytes:
    """A zip of stored members, ``(name, bytes)``; equal members give equal bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)  # of 1980, which stands for no date
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, data)
        archive.comment = comment
    return file.getvalue()


def member_start(data: memoryview, at: int, name: str) -> int:
    """Where the content begins of the stored member ``name``, whose header begins at ``at``.

    Raises:
        ValueError: that member is not there, or compressed or encrypted.
    """
    if len(data) < at + _LOCAL_HEADER.size:
        raise ValueError(f"ends before {name}")
    signature, flags, method, n, extra = _LOCAL_HEADER.unpack_from(data, at)
    found = bytes(data[at + 30 : at + 30 + n])
    if signature != b"PK\x03\x04" or method != 0 or flags & ~0x800 or found != name.encode():
        raise ValueError(f"has no stored member {name} where it belongs")
    return at + 30 + n + extra


def damaged(data: memoryview, tree: Mapping[str, Any]) -> list[str]:
    """The paths whose bytes have not their CRC-32, as far as the zip can be followed."""
    found, at = [], 0
    for path in (path for path, entry in tree.items() if entry):
        try:
            start = member_start(data, at, f"{path}.npy")
        except ValueError:
            return [*found, path]
        crc, size = struct.unpack_from("<LL", data, at + 14)
        if size == 0xFFFFFFFF:  # beyond 4 GB it stands elsewhere
            return found
        at = start + size
        if zlib.crc32(data[start:at]) != crc:
            found.append(path)
    return found


def check_tree(tree: Mapping[str, Any]) -> None:
    """Refuses a tree beyond the limits, or not of the form that ``encode`` gives.

    Raises:
        ValueError: naming the first entry that is wrong.
    """
    if len(tree) > MOST_TENSORS:
        raise ValueError(f"{len(tree):,} tensors; {MOST_TENSORS:,} are allowed")
    for path, entry in tree.items():
        if len(f"{path}.npy".encode()) > LONGEST_NAME or "\0" in path:
            raise ValueError(
                f"{path!r:.80} holds a zero, or needs more than {LONGEST_NAME} bytes as a name"
            )
        if entry == {}:
            continue
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), **rest} if (
                dtype in DTYPES
                and all(type(side) is int and side >= 0 for side in shape)
                and (not rest or (rest.get("key") in _GENERATORS and len(rest) == 1))
            ):
                if len(shape) > HIGHEST_RANK:
                    raise ValueError(f"{path} has rank {len(shape)}; {HIGHEST_RANK} is allowed")
            case _:
                raise ValueError(f"{path} is described as {entry!r:.120}")


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Every array and every empty dict below the root with its path."""
    if not isinstance(value, dict) or (path and not value):
        yield "/".join(path), value
        return
    for name, child in value.items():
        if not isinstance(name, str) or not name or "/" in name:
            raise TypeError(
                f"{'/'.join(path)} has the key {name!r}; keys are names without a slash"
            )
        yield from _leaves(child, (*path, name))


def _stored(leaf: Any, path: str) -> tuple[np.ndarray, dict[str, Any]]:
    """An array in C order with a dtype that NumPy can name, and its entry in the tree."""
    kind, key = type(leaf), {}
    if not issubclass(kind, np.ndarray | np.generic | jax.Array) or kind is np.ma.MaskedArray:
        raise TypeError(f"{path} is a {kind.__name__}; only nested dicts of arrays can be stored")
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        key = {"key": str(jax.random.key_impl(leaf))}
        leaf = jax.random.key_data(leaf)
    array = np.asarray(leaf, order="C")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    name = array.dtype.name
    if name not in DTYPES:
        raise TypeError(f"{path} has dtype {name}; only arrays of numbers can be stored")
    if name in _AS_BITS:
        array = array.view(f"u{array.itemsize}")
    return array, {"dtype": name, "shape": list(array.shape), **key}


def _restored(array: np.ndarray, entry: Mapping[str, Any]) -> Any:
    array = array.view(DTYPES[entry["dtype"]])
    if array.dtype == bool and array.view(np.uint8).max(initial=0) > 1:
        raise ValueError("an array of true and false holds other numbers")
    if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype:
        return array.copy()
    # One copy: of bytes that are aligned as its own, jax would keep the file's in place of a copy.
    array = array if array.ctypes.data % 64 else array.copy()
    values = jax.device_put(array, may_alias=False).block_until_ready()
    return jax.random.wrap_key_data(values, impl=entry["key"]) if "key" in entry else values


def _read_npy(
    data: memoryview, at: int, entry: Mapping[str, Any], path: str
) -> tuple[np.ndarray, int]:
    """The array whose ``.npy`` begins at ``at``, without a copy, and where it ends."""
    dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
    if entry["dtype"] in _AS_BITS:
        dtype = np.dtype(f"u{dtype.itemsize}")
    # The header is compared with the one that belongs there, as NumPy writes it: to read it, NumPy
    # would compile it as an expression of Python.
    header = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    start = at + 10 + int.from_bytes(data[at + 8 : at + 10], "little")
    found = bytes(data[at + 10 : start]).rstrip(b" \n")
    if data[at : at + 8] != b"\x93NUMPY\x01\x00" or found != header.encode():
        raise ValueError(f"{path} begins with {found!r:.120}, where {header:.120} belongs")
    end = start + math.prod(shape) * dtype.itemsize
    if end > len(data):
        raise ValueError(f"ends within {path}")
    return np.ndarray(shape, dtype, data, start), end
