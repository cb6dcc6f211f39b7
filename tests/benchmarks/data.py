"""Real data where it is at hand; numbers of the same shape, and named as such, where it is not."""

import gzip
import importlib
import os
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]


def mnist(examples: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Pictures ``[n, 28, 28, 1]`` in [0, 1], labels, and what they are.

    They are those in the folder that ``FCNN_DATA`` names.
    """
    folder = Path(os.environ.get("FCNN_DATA", ROOT.parent / "shared" / "data")) / "mnist"
    files = [folder / f"train-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1")]
    if all(map(Path.is_file, files)):
        x, y = (np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8) for file in files)
        x, y, name = x[16:].reshape(-1, 28, 28, 1), y[8:], "MNIST"  # after the headers
    else:
        generator = np.random.default_rng(0)
        x = generator.integers(256, size=(60_000, 28, 28, 1), dtype=np.uint8)
        y, name = generator.integers(10, size=60_000), "random pictures"
    x = (x[:examples] / np.float32(255)).astype(np.float32)
    return x, y[:examples].astype(np.int32), f"{name}, {len(x):,}"


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 scanned digits ``[n, 64]`` that scikit-learn and fcnn ship."""
    stored = np.load(ROOT / "fcnn" / "data" / "digits.npz")
    x = (stored["x"].reshape(-1, 64) / np.float32(16)).astype(np.float32)
    return x, stored["y"].astype(np.int32)


def iris() -> tuple[np.ndarray, np.ndarray]:
    """Fisher's 150 flowers, four lengths each, in three classes, as scikit-learn ships them."""
    datasets = importlib.import_module("sklearn.datasets")  # only this one needs it
    x, y = datasets.load_iris(return_X_y=True)
    return x.astype(np.float32), y.astype(np.int32)
