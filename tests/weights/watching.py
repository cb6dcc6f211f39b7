"""Reads hostile files of weights in a process of its own, under the watch of ``tests.security``.

``python -m tests.weights.watching FOLDER COUNT`` prints what was found as one line of JSON.
"""

import io
import json
import os
import pickle
import struct
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fcnn import extras
from fcnn.weights import WeightsError, read_weights, write_safetensors

from ..security import watching
from ..security.hostile import damaged
from . import made
from .known import FILES, tensors

FOUR = struct.pack("<4f", 1, 2, 3, 4)


class Harm:
    """What unpickles to a call of ``os.system``."""

    def __reduce__(self):
        return os.system, ("true",)


def bombs() -> Iterator[bytes]:
    """What pushes values that cost far more than their bytes, were one to look at them."""
    harm = [pickle.dumps(Harm(), protocol)[:-1] for protocol in range(6)]
    yield from (raw[2:] if number > 1 else raw for number, raw in enumerate(harm))
    yield from (made.named(name) + b"X\1\0\0\0aQ\x85R" for name in ("posix system", "os system"))
    for name in ("builtins eval", "__builtin__ exec", "builtins getattr", "torch load", "x y"):
        yield made.named(name) + made.tupled(made.text("1")) + b"R"
    yield b"]r\xff\xff\xff\xff"
    yield b"(" * 450_000
    yield b"}" * 450_000
    yield b"]" * 600_000
    yield b")" + b"\x85" * 450_000
    yield b"]q\0" + b"h\0a" * 300_000  # a list within itself
    twice = b"q\0" + b"h\0h\0\x86q\0" * 60  # 2 ** 60 leaves in one tuple
    yield b"N" + twice
    yield b"}N" + twice + b"Ns"
    doubled = b"}q\0" + b"".join(
        b"}q%c(X\1\0\0\0ah%cX\1\0\0\0bh%cu" % (n + 1, n, n) for n in range(100)
    )
    yield doubled
    pairs = b"](" + b"".join(b"](M" + struct.pack("<H", n) + b"Ne" for n in range(60_000)) + b"eq\0"
    ordered = made.named("collections OrderedDict") + b"q\1"
    yield pairs + ordered + b"h\1h\0\x85R" * 1_000
    prime = 2**61 - 1
    keys = b"".join(made.integer(n * prime) + b"N" for n in range(1, 50_000))
    yield b"}(" + keys + b"u"
    yield b"}" + b"X\1\0\0\0ah\0s" * 10
    yield b"X" + struct.pack("<I", 2**32 - 1)
    yield b"\x8b\xff\xff\xff\x7f"
    yield b"X" + struct.pack("<I", 10**7) + "😀".encode() + bytes(10**7 - 4)
    tensor = made.tensor(made.storage(4), (4,), (1,))
    yield made.dictionary(**{f"t{n}": tensor for n in range(3_000)})
    shared = b"}q\0(" + b"".join(made.text(f"k{n}") + tensor for n in range(2_000)) + b"u"
    yield shared + b"}(" + b"".join(made.text(f"d{n}") + b"h\0" for n in range(5_000)) + b"u"
    wide = made.tensor(made.storage(4), (2**20, 16), (0, 0))
    yield made.dictionary(**{f"t{n}": wide for n in range(100)})


def overlapping(count: int = 300) -> bytes:
    """A zip whose members all lie on the same bytes."""
    value = made.dictionary(
        **{f"t{n}": made.tensor(made.storage(10**6, str(n)), (1,), (1,)) for n in range(count)}
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + value + b".")
        archive.writestr("archive/data/0", bytes(4 * 10**6))
        first = archive.infolist()[1]
        for number in range(1, count):
            again = zipfile.ZipInfo(f"archive/data/{number}")
            again.CRC, again.header_offset = first.CRC, first.header_offset
            again.compress_size = again.file_size = first.file_size
            archive.filelist.append(again)
        archive._didModify = True
    return file.getvalue()


def harmful() -> Iterator[tuple[str, bytes]]:
    """Files that were made to do harm."""
    for value in bombs():
        yield "bomb", made.zipped(value, data_0=FOUR)
        yield "bomb", made.legacy(value, k0=(4, FOUR))
        yield "bomb", b"\x80\x04" + value + b"."
    yield "bomb", overlapping()
    yield "bomb", zipped({"a.npy": bytes(80_000_000)}, zipfile.ZIP_DEFLATED)
    yield "bomb", zipped({"a.npy": pickle.dumps(Harm())})
    if extras.available("h5py"):
        yield "bomb", zipped({"model.weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(99)})
    for text in (b"[" * 3_000_000, b'{"a":' * 700_000, b"{}," * 1_300_000, b"9" * 4_000_000):
        yield "bomb", len(text).to_bytes(8, "little") + text
        yield "bomb", b"[" + text


def large() -> Iterator[tuple[str, bytes]]:
    """Whole files that memory has room for twice, and not three times."""
    raw = bytes(160_000_000)
    halves = {
        name: made.tensor(made.storage(4 * 10**7), (2 * 10**7,), (1,), offset)
        for name, offset in (("a", 0), ("b", 2 * 10**7))
    }
    yield "large", made.zipped(made.dictionary(**halves), data_0=raw)
    yield "large", made.legacy(made.dictionary(**halves), k0=(4 * 10**7, raw))
    yield "large", zipped({"a.npy": npy(raw[: 8 * 10**7]), "b.npy": npy(raw[: 8 * 10**7])})
    told = {"a": {"dtype": "U8", "shape": [len(raw)], "data_offsets": [0, len(raw)]}}
    header = json.dumps(told).encode()
    yield "large", len(header).to_bytes(8, "little") + header + raw


def npy(raw: bytes) -> bytes:
    """An .npy file of bytes."""
    file = io.BytesIO()
    np.save(file, np.frombuffer(raw, np.uint8))
    return file.getvalue()


def same_tensors(kind: str, found: dict[str, np.ndarray]) -> bool:
    """Whether a file that was read has just the tensors it had before it was damaged."""
    good = tensors()
    return list(found) == list(good) and all(
        found[name].tobytes() == array.tobytes() for name, array in good.items()
    )


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def good(folder: Path) -> dict[str, bytes]:
    """A small whole file of every form, by its form."""
    plain = {name: a for name, a in tensors().items() if a.dtype.isbuiltin == 1}
    np.savez(folder / "good.npz", **plain)
    np.savez_compressed(folder / "packed.npz", **plain)
    write_safetensors(folder / "good.safetensors", tensors())
    files = [folder / name for name in ("good.npz", "packed.npz", "good.safetensors")]
    files += [FILES / name for name in ("today.pt", "legacy.pth", "checkpoint.pt", "protocol4.pt")]
    return {path.name: path.read_bytes() for path in files}


def main(folder: Path, count: int) -> dict[str, Any]:
    """What happens to hostile files, to damaged ones of each form, and to cut ones."""
    b"".decode("raw-unicode-escape")  # which an old pickle may ask for
    path, files = folder / "hostile.bin", good(folder)
    for data in files.values():
        path.write_bytes(data)
        read_weights(path)
    if extras.available("h5py"):
        read_weights(FILES / "keras2.h5")

    def read(corpus, **options):
        refusals = (WeightsError,)
        return watching.read_all(
            corpus, path, read_weights, refusals, allowed=watching._literal, **options
        )

    found = {"harmful": read(harmful())}
    for name, data in files.items():
        numbers = np.random.Generator(np.random.Philox(len(name)))
        corpus = [("damaged", damaged(data, numbers)) for _ in range(count)]
        exact = name.endswith(".pt")  # where every byte that matters has a checksum
        found[name] = read(corpus, expected=same_tensors if exact else lambda *_: True)
    found["large"] = read(large() if count > 1_000 else [])
    small = made.zipped(made.dictionary(a=made.tensor(made.storage(4), (4,), (1,))), data_0=FOUR)
    old = made.legacy(made.dictionary(a=made.tensor(made.storage(4), (4,), (1,))), k0=(4, FOUR))
    cut = [data[:at] for data in (small, old) for at in range(len(data))]
    found["cut"] = read(("cut", data) for data in cut)
    flips = (
        data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        for data in (small, old)
        for at in range(len(data))
        for bit in range(8)
    )
    found["flips"] = read(("flip", data) for data in flips)
    return found


if __name__ == "__main__":
    sys.addaudithook(watching._hook)
    _start = time.perf_counter()
    _found = main(Path(sys.argv[1]), int(sys.argv[2]))
    _found["noticed"] = watching.noticed(Path(sys.argv[1]) / "deed")
    _found["seconds"] = time.perf_counter() - _start
    print(json.dumps(_found))
