"""Files that were damaged, and files that were made to do harm.

Everything is a function of numbers of ``np.random.Generator``, so that a file that got through can
be made again.
"""

import copy
import inspect
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

import fcnn
from fcnn.core.recipes import registered
from fcnn.store import manifest, tensors

EXTREMES = (0, 1, 2, 127, 128, 255, 256, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 3, 2**31, 2**63, 10**30, 1e308, -0.5, "", "custom", "float32", "object"),
    *("os.system", "__import__", "../../etc/passwd", "/etc/passwd", "C:\\x", "a\0b", "x" * 5000),
    *("(2,)f4", "V8", "\ud800", [], {}, [[]], [-1], [2**40, 0], [10**9] * 3, [1] * 17, ["a"], [{}]),
    {"call": "os.system", "args": ["true"], "options": {}},
    {"call": "builtins:eval", "args": ["1"], "options": {}},
    *({"function": "eval"}, {"function": "os.system"}, {"dict": {"a": 1}}, {"dict": []}),
)
ARGUMENTS: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2, 3, 7, 64, 0.5, -0.5, 1e308, "same", "valid", "float32", "O", "i,O"),
    *("(2,)f4", "he_normal", "os.system", "", "a/b", "../x", [], [1, 2], [[1, 2], [0, 1]], [-1]),
    *(["constant", 2.0], ["os.system", "true"], {"dict": {}}, {"dict": {"self": 1, "x": 2}}),
)


def small_network() -> fcnn.Network:
    """As small as one can be that has parameters, a state, and an input that is known."""
    layer = fcnn.serial(fcnn.dense(2), fcnn.batch_norm())
    like = jax.ShapeDtypeStruct((1, 3), "float32")
    params, state = layer.init(jax.random.key(0), like)
    example = jax.ShapeDtypeStruct((3,), "float32")
    return fcnn.Network(layer, params, state, classes=("a", "b"), input=example)


def taken_apart(file: bytes) -> tuple[dict[str, Any], bytes]:
    """The entries of the manifest of a saved network, and its state."""
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return manifest.decode(archive.read("manifest.json")), archive.read("state.npz")


def signed(text: bytes) -> bytes:
    """A manifest of this text, which may be anything, with the right digest at its end."""
    zeroed = text.rstrip()[:-1] + b', "digest": "' + b"0" * 64 + b'"}\n'
    return zeroed[:-67] + manifest.sha256(zeroed).encode() + zeroed[-3:]


def described(entries: Any, state: bytes) -> bytes:
    """A manifest of these entries that knows the checksum of this state."""
    if isinstance(entries, dict) and isinstance(entries.get("files"), dict):
        told = {"bytes": len(state), "sha256": manifest.sha256(state)}
        entries = {**entries, "files": {**entries["files"], "state.npz": told}}
    return signed(json.dumps(entries).encode())


def sealed(*members: tuple[str, bytes]) -> bytes:
    """A zip of stored members with the right checksum in its comment: a saved network's form."""
    return resealed(tensors.zipped(members, comment=bytes(64)))


def resealed(file: bytes) -> bytes:
    """The file with the right checksum as its last 64 bytes."""
    return file[:-64] + manifest.sha256(file[:-64]).encode()


def damaged(data: bytes, numbers: np.random.Generator) -> bytes:
    """The bytes with one thing wrong: flipped, cut, grown, moved, or a size that is another."""
    while (other := _damaged(data, numbers)) == data:
        pass
    return other


def _damaged(data: bytes, numbers: np.random.Generator) -> bytes:
    at, end = sorted(numbers.integers(0, len(data) + 1, 2).tolist())
    match int(numbers.integers(9)):
        case 0 | 1:
            at = min(at, len(data) - 1)
            return data[:at] + bytes([data[at] ^ 1 << int(numbers.integers(8))]) + data[at + 1 :]
        case 2:
            return data[:at]
        case 3:
            return data[at:]
        case 4:
            return data[:at] + data[end:]
        case 5:
            return data[:end] + data[at:]
        case 6:
            return data[:at] + numbers.bytes(int(numbers.integers(1, 40))) + data[at:]
        case 7:
            return data[end:] + data[at:end] + data[:at]
    number = struct.pack("<I", EXTREMES[numbers.integers(len(EXTREMES))])
    return data[:at] + number + data[at + 4 :]


def changed(entries: Any, numbers: np.random.Generator) -> Any:
    """JSON with one value replaced, taken away, doubled under another name, or put deeper."""
    entries = copy.deepcopy(entries)
    holders = [part for part in _containers(entries) if part]
    holder = holders[numbers.integers(len(holders))]
    keys = list(holder) if isinstance(holder, dict) else range(len(holder))
    key = keys[numbers.integers(len(keys))]
    other = copy.deepcopy(VALUES[numbers.integers(len(VALUES))])
    match int(numbers.integers(6)):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[other if isinstance(other, str) else "__class__"] = holder[key]
        case 1 | 2:
            for _ in range(int(numbers.integers(1, 300))):
                holder[key] = [holder[key]] if numbers.integers(2) else {"dict": {"a": holder[key]}}
        case _:
            holder[key] = other
    return entries


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _containers(part)


def recipe(numbers: np.random.Generator, depth: int = 2) -> Any:
    """A call of a random constructor of the registry with arguments that suit it or do not."""
    calls, functions = registered(), registered("function")
    if depth == 0 or numbers.integers(5) == 0:
        return {"function": list(functions)[numbers.integers(len(functions))]}
    name = list(calls)[numbers.integers(len(calls))]

    def argument():
        if numbers.integers(3) == 0:
            return recipe(numbers, depth - 1)
        return copy.deepcopy(ARGUMENTS[numbers.integers(len(ARGUMENTS))])

    known = [*inspect.signature(calls[name]).parameters, "self", "x/y", "os"]
    options = {known[i]: argument() for i in numbers.integers(len(known), size=numbers.integers(3))}
    args = [argument() for _ in range(int(numbers.integers(4)))]
    return {"call": name, "args": args, "options": options}


def manifests(entries: dict[str, Any]) -> list[bytes]:
    """Texts that a reader of JSON has to withstand, each with its digest."""
    plain = json.dumps(entries).encode()
    heads = [
        b'{"a": 1, "a": 2, ',
        b'{"a": NaN, ',
        b'{"a": 1e999, ',
        b'{"a": ' + b"9" * 5000 + b", ",
    ]
    deep = [
        b'{"recipe": ' + b * n + e * n + b", "
        for n in (900, 5_000, 100_000)
        for b, e in ((b"[", b"]"), (b'{"dict":{"a":', b"1}}"), (b'{"a":', b"}"))
    ]
    twice = [
        plain[:-1] + b', "tree": {}}',
        plain.replace(b'"format": 1', b'"format": 1, "format": 1'),
    ]
    texts = [head + plain[1:] for head in heads + deep]
    texts += [
        *twice,
        plain.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + plain,
        b"",
        b"null",
        b"[1]",
    ]
    return [signed(text) for text in texts]


def wide_manifests() -> list[bytes]:
    """Texts of just under 4 MB that stand for as much as such a text can."""
    lists = (
        b"{}",
        b"[]",
        b'{"":0}',
        b'{"":{"":{"":0}}}',
        b"[0]",
        b'"ab"',
        b"1.5",
        b"300",
        b'[{"":[]}]',
    )
    room = manifest.LIMIT - 200
    texts = [b'{"a": [' + b",".join([part] * (room // (len(part) + 1))) + b"]}" for part in lists]
    texts.append(b"{" + b",".join(b'"%x":0' % i for i in range(room // 10)) + b"}")
    texts.append(b'{"a": "' + b"\\ud83d\\ude00" + b"x" * (room - 30) + b'"}')
    return [signed(text) for text in texts]


def names(entries: dict[str, Any], state: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """Entries and state whose tensors have names that lead elsewhere, in both alike."""
    made = []
    for name in (
        "../x",
        "/etc/passwd",
        "..",
        "params//a",
        "a/../../b",
        "C:\\x",
        "a\0",
        "x" * 600,
        "",
    ):
        data = np.zeros(2, np.float32)
        file = io.BytesIO()
        np.lib.format.write_array(file, data, version=(1, 0))
        entry = {"dtype": "float32", "shape": [2]}
        zipped = tensors.zipped([(f"{name}.npy", file.getvalue())])
        made.append(({**entries, "tree": {name: entry}}, zipped))
    for shape in (
        [2**62, 0],
        [2**40, 0, 2**40],
        [0] * 16,
        [2**31, 2**31, 2**31],
        [10**30, 0],
        [-1, -2],
    ):
        header = (
            f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}\n".encode()
        )
        npy = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header
        tree = {"params/a": {"dtype": "float32", "shape": shape}, "state": {}}
        made.append(({**entries, "tree": tree}, tensors.zipped([("params/a.npy", npy)])))
    return made


def strangers() -> list[bytes]:
    """Files of other kinds: pickles, archives that hold such, texts."""

    class Harm:
        def __reduce__(self):
            return eval, ("__import__('os').system('true')",)

    objects = io.BytesIO()
    np.savez(objects, state=np.array([Harm()], object))
    torch = io.BytesIO()
    with zipfile.ZipFile(torch, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Harm()))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"{}")
        archive.writestr("state.npz", bytes(200_000_000))
        archive.comment = bytes(64)
    pickles = [pickle.dumps(Harm(), protocol) for protocol in range(6)]
    memo = b"\x80\x04]r\x00\x00\x00\x10."  # ten bytes that make pickle take gigabytes
    files = [*pickles, memo, objects.getvalue(), torch.getvalue(), resealed(bomb.getvalue())]
    texts = [
        b"",
        b"\0" * 64,
        b"#!/bin/sh\ntrue\n",
        b"import os\n",
        b"\x7fELF" + bytes(99),
        b"PK\5\6",
    ]
    return files + texts + [resealed(file + bytes(64)) for file in files + texts]


def zips(description: bytes, state: bytes) -> list[bytes]:
    """Zips of the two members of a network, put together as ``save`` never would."""
    one, two = ("manifest.json", description), ("state.npz", state)
    good = sealed(one, two)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (one, two):
            archive.writestr(name, data)
        archive.comment = bytes(64)
    made = [
        sealed(two, one),
        sealed(one),
        sealed(two),
        sealed(),
        sealed(one, one),
        sealed(two, two),
    ]
    made += [sealed(("../manifest.json", description), two), sealed(("/manifest.json", b""), two)]
    made += [good + good, good[:200] + good[200:][::-1], resealed(packed.getvalue())]
    fields = ((6, b"\1\0"), (8, b"\x08\0"), (18, bytes(4)), (18, b"\xff" * 4), (22, b"\7\0\0\0"))
    fields += ((26, b"\0\0"), (26, b"\xff\xff"), (28, b"\x09\0"))  # of the first local header
    made += [resealed(good[:at] + value + good[at + len(value) :]) for at, value in fields]
    return [*made, *(resealed(file) for file in made)]


def networks(file: bytes, count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """``count`` hostile files of the form of a saved network, each with its kind."""
    numbers = np.random.Generator(np.random.Philox(seed))
    entries, state = taken_apart(file)
    fixed = [
        ("text", sealed(("manifest.json", m), ("state.npz", state))) for m in manifests(entries)
    ]
    fixed += [("zip", made) for made in zips(described(entries, state), state)]
    fixed += [("stranger", made) for made in strangers()]
    fixed += [("name", assembled(*pair)) for pair in names(entries, state)]
    yield from fixed
    for number in range(count - len(fixed)):
        match number % 10:
            case 0:
                yield "entries", assembled(changed(entries, numbers), state)
            case 1:
                known = entries["input"] if numbers.integers(2) else None
                called = {**entries, "recipe": recipe(numbers), "input": known}
                yield "recipe", assembled(called, state)
            case 2:
                yield "state", assembled(entries, damaged(state, numbers))
            case 3 | 4:
                yield "resealed", resealed(damaged(file, numbers))
            case _:
                yield "damaged", damaged(file, numbers)


def checkpoints(
    description: bytes, state: bytes, count: int, seed: int = 0
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """``count`` hostile pairs of the files of a checkpoint, each with its kind."""
    numbers = np.random.Generator(np.random.Philox(seed))
    entries = manifest.decode(description)
    pairs = [("text", text, state) for text in manifests(entries)]
    pairs += [("stranger", file, state) for file in strangers()]
    pairs += [("stranger", described(entries, file), file) for file in strangers()]
    pairs += [("name", described(*pair), pair[1]) for pair in names(entries, state)]
    pairs += [("swapped", state, description), ("swapped", description, description)]
    for _ in range(count - len(pairs)):
        match int(numbers.integers(4)):
            case 0:
                pairs.append(("entries", described(changed(entries, numbers), state), state))
            case 1:
                wrong = damaged(state, numbers)
                pairs.append(("state", described(entries, wrong), wrong))
            case 2:
                pairs.append(("damaged", damaged(description, numbers), state))
            case 3:
                pairs.append(("damaged", description, damaged(state, numbers)))
    for kind, told, stored in pairs:
        yield kind, {"manifest.json": told, "state.npz": stored}


def assembled(entries: Any, state: bytes) -> bytes:
    """A file of these entries and this state in which every checksum is right."""
    return sealed(("manifest.json", described(entries, state)), ("state.npz", state))
