"""The manifest: what a checkpoint holds, as JSON that guards itself.

Its last entry is ``digest``, the SHA-256 of the whole text with the 64 digits of the digest set to
zero. It is read strictly: plain ASCII, at most 4 MB and 400,000 values, no key twice, no NaN, no
infinity.
"""

import hashlib
import json
import math
import platform
from importlib import metadata
from typing import Any

LIMIT = 4_000_000  # bytes
MOST_VALUES = 400_000  # for a few bytes may stand for a dict of two hundred
_DIGEST, _END = ', "digest": "', '"}\n'


def encode(entries: dict[str, Any]) -> bytes:
    """The manifest with these entries and its digest; equal entries give equal bytes.

    Raises:
        ValueError: it would be beyond the limits, or holds a NaN or an infinity.
    """
    text = json.dumps(entries, allow_nan=False)
    zeroed = f"{text[:-1]}{_DIGEST}{'0' * 64}{_END}".encode()
    _check_size(zeroed)
    return zeroed.replace(b"0" * 64 + _END.encode(), sha256(zeroed).encode() + _END.encode())


def decode(data: bytes) -> dict[str, Any]:
    """The entries of a manifest, without the digest, which is checked.

    Raises:
        ValueError: the digest does not match, or the text is not such JSON.
    """
    _check_size(data)
    end = len(data) - len(_END)
    zeroed = data[: end - 64] + b"0" * 64 + data[end:]
    if data[end - 64 : end] != sha256(zeroed).encode():
        raise ValueError("the digest of the manifest does not match")
    text = data.decode("ascii")  # json would guess at the encoding of bytes
    entries = json.loads(text, object_pairs_hook=_once, parse_constant=_finite, parse_float=_finite)
    del entries["digest"]
    return entries


def sha256(data: Any) -> str:
    """The SHA-256 of some bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def versions() -> dict[str, str]:
    """What the numbers were computed with."""
    found = {"python": platform.python_version()}
    for name in ("fcnn", "jax", "jaxlib", "numpy", "optax"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a source tree
            found[name] = "unknown"
    return found


def _check_size(data: bytes) -> None:
    if len(data) > LIMIT:
        raise ValueError(f"the manifest has {len(data):,} bytes; {LIMIT:,} are allowed")
    values = sum(map(data.count, (b"{", b"[", b",")))  # with those in texts: never too few
    if values > MOST_VALUES:
        raise ValueError(f"the manifest has {values:,} values; {MOST_VALUES:,} are allowed")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return entries


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"not a finite number: {text}")
    return number
