"""Writes the small files that the readers are tested with: ``python -m tests.weights.make_files``.

Needs torch, keras and h5py, which made them once: PyTorch 2.13, Keras 3.15.
"""

import argparse
import collections
import os
from typing import Any

import numpy as np

from . import known


def as_torch(array: np.ndarray) -> Any:
    """The array as a tensor, also of the types that NumPy lacks."""
    import torch

    array = np.array(array, order="C")
    if array.dtype.isbuiltin == 1:
        return torch.from_numpy(array)
    raw = torch.from_numpy(array.view(f"u{array.itemsize}"))
    return raw.view(getattr(torch, array.dtype.name))


def state_dict() -> collections.OrderedDict:
    """``known.tensors()`` with views, shared storages, a parameter and a buffer among them."""
    import torch

    made = collections.OrderedDict((n, as_torch(a)) for n, a in known.tensors().items())
    base = made["base"]
    made |= {"transposed": base.T, "part": base[1:, 2]}
    made["spread"] = torch.full((1,), 7.0).expand(2, 3)
    made["conv.weight"] = torch.nn.Parameter(made["conv.weight"])
    made["half"] = torch.nn.Buffer(made["half"])
    return made


def checkpoint() -> dict:
    """The same as a training script keeps it, from DataParallel and torch.compile."""
    import torch

    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3,
        "best": np.float64(0.5),
        "args": argparse.Namespace(lr=0.1, size=torch.Size([2, 3])),
        "model": {f"module._orig_mod.{name}": t for name, t in state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "scheduler": {"milestones": collections.Counter({3: 1}), "seen": {1, 2}},
        "device": [torch.device("cpu"), torch.float32, None, True, (1, 2, 3, 4), 2**40],
    }


def main() -> None:
    """Writes all of them."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras
    import torch

    files = known.FILES
    files.mkdir(exist_ok=True)
    torch.save(state_dict(), files / "today.pt")
    torch.save(state_dict(), files / "protocol4.pt", pickle_protocol=4)
    torch.save(state_dict(), files / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(checkpoint(), files / "checkpoint.pt")
    torch.save(checkpoint(), files / "legacy.tar", _use_new_zipfile_serialization=False)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(2, 3, name="first"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Conv2D(1, 1, name="a_later_one"),
        ]
    )
    model.set_weights([known.numbers(w.shape, first=i) for i, w in enumerate(model.weights)])
    model.save_weights(files / "keras.weights.h5")
    model.save(files / "whole.keras")
    model.save(files / "keras2.h5")


if __name__ == "__main__":
    main()
