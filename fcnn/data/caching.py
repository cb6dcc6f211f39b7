"""Decoded pictures that are kept: in memory, or in a memory-mapped ``.npy`` that is used again."""

import dataclasses
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .dataset import Dataset
from .loading import Pictures, good_rows, readable

_FORM = 1  # of the manifest


def cached(dataset: Dataset, cache: str | Path | None, options: dict[str, Any]) -> Dataset:
    """The dataset of pictures as it is (None), in memory ("memory"), or in the file ``cache``.

    Beside the file lies a manifest, ``NAME.npy.json``: the SHA-256 of the names, sizes and times of
    all pictures and of the options, and which pictures cannot be read. The file is used again if
    that and its own size and time are the same, and else written anew; both are written whole or
    not at all.
    """
    if cache is None:
        return dataset
    if cache == "memory":
        return readable(dataset, room=2**63)
    column, cache = dataset.x, Path(cache)
    digest = _digest(column, options)
    found = _reused(cache, digest, len(column))
    if found is None:
        problems = _write(cache, digest, column)
        found = _mapped(cache), problems
    x, problems = found
    if problems:
        dataset = dataset.take(good_rows(column, problems))
    return dataclasses.replace(dataset, x=x)


def _digest(column: Pictures, options: dict[str, Any]) -> str:
    listing = hashlib.sha256(json.dumps([str(column.source.path.resolve()), options]).encode())
    for name in column.names:
        try:
            stamp = column.source.stamp(name)
        except OSError:  # one that cannot be read is told of when it is read
            stamp = None
        listing.update(f"{name!r} {stamp}\n".encode())
    return listing.hexdigest()


def _mapped(cache: Path) -> np.ndarray:
    return np.asarray(np.load(cache, mmap_mode="r", allow_pickle=False))


def _manifest(cache: Path) -> Path:
    return cache.with_name(cache.name + ".json")


def _file_stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _reused(cache: Path, digest: str, n: int) -> tuple[np.ndarray, list] | None:
    """The array and the problems of a cache that is still right."""
    try:
        manifest = json.loads(_manifest(cache).read_text(encoding="utf-8"))
        if manifest["form"] != _FORM or manifest["pictures"] != digest:
            return None
        if manifest["file"] != _file_stamp(cache):
            return None
        problems = [(name, reason) for name, reason in manifest["problems"]]
        x = _mapped(cache)
    except (OSError, ValueError, KeyError, TypeError):  # no cache, or none of ours
        return None
    return (x, problems) if len(x) == n - len(problems) else None


def _write(cache: Path, digest: str, column: Pictures) -> list[tuple[str, str]]:
    """Decodes all into the file, without those that cannot be read, which are given back."""
    if not cache.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {cache.parent} for the cache {cache.name}")
    with tempfile.TemporaryDirectory(prefix=f".{cache.name}-", dir=cache.parent) as folder:
        file = Path(folder) / "all.npy"
        out = np.lib.format.open_memmap(file, "w+", np.uint8, column.shape)
        problems = column.decode_into(out)
        if problems:
            rows = good_rows(column, problems, say=lambda line: None)
            file = Path(folder) / "good.npy"
            good = np.lib.format.open_memmap(file, "w+", np.uint8, (len(rows), *column.shape[1:]))
            for place, row in enumerate(rows):
                good[place] = out[row]
            out = good
        out.flush()
        del out
        stamp = _file_stamp(file)
        manifest = {
            "form": _FORM,
            "pictures": digest,
            "file": stamp,
            "problems": problems,
        }
        note = Path(folder) / "manifest.json"
        note.write_text(json.dumps(manifest), encoding="utf-8")
        _manifest(cache).unlink(missing_ok=True)
        os.replace(file, cache)
        os.replace(note, _manifest(cache))
    return problems
