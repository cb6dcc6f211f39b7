"""What a command is given: the names of data, and of networks."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import data, store
from ..core import Network
from ..data import Dataset
from ..data.archives import ENDINGS

FORMS = (
    "digits, mnist:DIR, cifar10:DIR, cifar100:DIR, a folder or an archive of class folders of "
    "pictures, or a file .npz with x and y"
)
READERS = {"mnist": data.mnist, "cifar10": data.cifar10, "cifar100": data.cifar100}
WHITE = 255  # in pictures of integers


def read_data(
    source: str,
    *,
    size: tuple[int, int] | None = None,
    mode: str = "rgb",
    on_error: str = "raise",
) -> Dataset | tuple[Dataset, Dataset]:
    """The data that is written as ``FORMS`` says; training and test data where it has both.

    Gray pictures ``[n, h, w]`` in an ``.npz`` get a channel axis.

    Args:
        source: As written on the command line.
        size: ``(height, width)`` of picture files; None means that all have one.
        mode: "rgb" or "gray", of picture files.
        on_error: What is done about files that cannot be read: "raise" or "skip".

    Raises:
        ValueError: the source is none of these.
        OSError: a file is missing or cannot be read.
    """
    name, colon, place = source.partition(":")
    if source == "digits":
        return data.digits()
    if colon and name in READERS:
        return READERS[name](place)
    if source.endswith(".npz"):
        found = data.npz(source)
        if isinstance(found, tuple):
            return tuple(_with_channel(part, source) for part in found)
        return _with_channel(found, source)
    if are_pictures(source):
        return data.folder(source, size=size, mode=mode, on_error=on_error)
    missing = "" if Path(source).exists() else ", and there is no such file or folder"
    raise ValueError(f"cannot tell what data {source!r} is{missing}; it must be {FORMS}")


def are_pictures(source: str) -> bool:
    """Whether a source is a folder or an archive of picture files."""
    return Path(source).is_dir() or source.lower().endswith(ENDINGS)


def halves(found: Dataset | tuple[Dataset, Dataset]) -> tuple[Dataset, Dataset]:
    """Training and test data; of data without a test half a fifth is held out, always the same."""
    if isinstance(found, tuple):
        return found
    train, test = data.split(found, 0.2, seed=0)
    say(f"no test half: a fifth of the data, {len(test):,} examples, is held out")
    return train, test


def data_name(source: str) -> str:
    """A short name for a folder of results."""
    name, colon, _ = source.partition(":")
    return name if colon and name in READERS else Path(source).resolve().name.partition(".")[0]


def pictures_for(network: Network) -> dict[str, Any]:
    """The options of ``read_data`` that make pictures such as the network takes."""
    shape = None if network.input is None else network.input.shape
    if shape is None or len(shape) != 3 or shape[-1] not in (1, 3):
        return {}
    return {"size": shape[:2], "mode": "gray" if shape[-1] == 1 else "rgb"}


def read_network(run: str) -> Network:
    """The network of a run's folder, or of a file.

    Raises:
        OSError: there is none.
    """
    path = Path(run)
    return store.load(path / "network.fcnn" if path.is_dir() else path)


def data_of(run: str) -> str:
    """The source of the data that a run was trained on, as it was given then.

    Raises:
        ValueError: it is not known; the data has to be named.
    """
    report = Path(run) / "report.json"
    try:
        source = json.loads(report.read_text())["data"]
    except (OSError, ValueError, KeyError, TypeError):
        source = None
    if not isinstance(source, str):
        raise ValueError(
            f"{run} does not say what data to use; name it: fcnn evaluate {run} DATA, "
            f"where DATA is {FORMS}"
        )
    return source


def read_inputs(file: str, network: Network) -> np.ndarray:
    """The examples of a file as the network takes them: ``[n, ...]``.

    Raises:
        ValueError: the network takes no pictures, or the file is none.
        OSError: there is no such file.
    """
    shape = None if network.input is None else network.input.shape
    if file.endswith(".npy"):
        x = np.load(file, allow_pickle=False)
        if shape is None:
            return x
        if shape[-1:] == (1,) and x.shape[-1:] != (1,) and x.shape[1 - len(shape) :] == shape[:-1]:
            x = x[..., None]
        return x[None] if x.ndim == len(shape) else x
    if shape is None or len(shape) != 3:
        raise ValueError(f"{file}: the network does not take pictures; give it .npy files")
    height, width, channels = shape
    return data.picture(file, size=(height, width), channels=channels)[None] * white(network)


def white(network: Network) -> int:
    """The value of white in the pictures that the network takes."""
    integers = network.input is not None and np.issubdtype(network.input.dtype, np.integer)
    return WHITE if integers else 1


def say(text: str) -> None:
    """What is no result, on standard error."""
    print(text, file=sys.stderr, flush=True)


def _are_gray(x: np.ndarray) -> bool:
    """Whether ``[n, h, w]`` are pictures: integers, or squares that are no short rows."""
    return x.ndim == 3 and (x.dtype.kind in "iu" or x.shape[1] == x.shape[2] >= 8)


def _with_channel(part: Dataset, source: str) -> Dataset:
    if not _are_gray(part.x):
        return part
    height, width = part.x.shape[1:]
    say(f"{source}: x is taken for gray pictures of {height} x {width}, one channel each")
    return replace(part, x=part.x[..., None])
