"""What a command is given: the names of data, and of networks."""

from pathlib import Path
from typing import Any

from .. import data, store
from ..core import Network

FORMS = "digits, mnist:DIR, or a file .npz with x and y"


def read_data(source: str) -> tuple[Any, Any]:
    """Training and test data from ``digits``, ``mnist:DIR`` or ``FILE.npz``.

    A file without a test split gives up a fifth of its examples, the same ones each time.

    Raises:
        ValueError: the source is none of these.
        OSError: a file is missing or cannot be read.
    """
    name, colon, place = source.partition(":")
    if source == "digits":
        return data.digits()
    if name == "mnist" and colon:
        return data.mnist(place)
    if source.endswith(".npz"):
        found = data.npz(source)
        return found if isinstance(found, tuple) else data.split(found, 0.2, seed=0)
    raise ValueError(f"cannot tell what data {source!r} is; it must be {FORMS}")


def data_name(source: str) -> str:
    """A short name for a folder of results."""
    return Path(source).stem if source.endswith(".npz") else source.partition(":")[0]


def read_network(run: str) -> Network:
    """The network of a run's folder, or of a file.

    Raises:
        OSError: there is none.
    """
    path = Path(run)
    return store.load(path / "network.fcnn" if path.is_dir() else path)
