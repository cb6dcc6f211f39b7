"""Weights of PyTorch as networks of ours, and the way back."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Network, trees
from ..weights import read_weights, write_safetensors
from .dialects import Dialect, dialects_of
from .registry import build

SKIPPED = re.compile(r".*\bnum_batches_tracked")  # a counter of PyTorch's batch norm
MOST = 20  # problems that are listed


def from_torch(
    name: str, path: str | os.PathLike, *, sha256: str | None = None, **options: Any
) -> Network:
    """A model of the zoo with weights of PyTorch, read without PyTorch and without running code.

    Example:
        network = fcnn.models.from_torch("resnet18", "resnet18-f37072fd.pth")

    Args:
        name: The model.
        path: A file ``.pth``, ``.pt``, ``.th`` or ``.safetensors`` with its state dict. Names of
            torchvision and, for many models, of timm are understood.
        sha256: What the file must have, in hexadecimal digits.
        **options: Of the model, such as ``classes``; they must be those of the weights.

    Returns:
        The network, for inputs of the size that the weights were made for; it takes others where
        the model does.

    Raises:
        ValueError: the file is damaged or no such file, or the weights do not fit the model: all
            that is missing, unexpected or of another shape is listed.
    """
    layer, dialects = build(name, **options), dialects_of(name)
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest() if sha256 else None
    if found != sha256:
        raise ValueError(f"{path}: its SHA-256 is {found}, not {sha256}")
    arrays = read_weights(path)
    arrays = {key: array for key, array in arrays.items() if not SKIPPED.fullmatch(key)}
    channels = next((a.shape[1] for a in arrays.values() if a.ndim == 4), 3)

    def leaves(dialect):
        x = jax.ShapeDtypeStruct((1, dialect.size, dialect.size, channels), jnp.float32)
        params, state = jax.eval_shape(layer.init, jax.random.key(0), x)
        return {"params": params, "state": state}, x

    def known(dialect):
        like, _ = leaves(dialect)
        return len({_name(dialect, path) for path in trees.flat(like)} & arrays.keys())

    dialect = max(dialects, key=known)
    like, x = leaves(dialect)
    values, problems = {}, []
    unexpected = dict.fromkeys(arrays)
    for leaf, needed in trees.flat(like).items():
        key = _name(dialect, leaf)
        unexpected.pop(key, None)
        if key not in arrays:
            problems.append(f"missing: {key} (our {leaf.partition('/')[2]})")
            continue
        array = dialect.ours(leaf.partition("/")[2], arrays[key], needed.shape)
        values[leaf] = array.astype(needed.dtype)
        if values[leaf].shape != needed.shape:
            problems.append(
                f"of another shape: {key} is {list(arrays[key].shape)}, which gives "
                f"{list(values[leaf].shape)} for our {list(needed.shape)}"
            )
    problems += [
        f"unexpected: {key} {list(arrays[key].shape)}"
        for key in unexpected
        if not re.fullmatch(dialect.left_out, key)
    ]
    if problems:
        more = f"\n  and {len(problems) - MOST} more" if len(problems) > MOST else ""
        lines = "\n  ".join(problems[:MOST])
        raise ValueError(f"{path}: these are no weights of {layer!r}\n  {lines}{more}")
    tree = jax.tree.map(
        lambda leaf, path: jnp.array(values[path], leaf.dtype), like, trees.paths(like)
    )
    one = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
    return Network(layer, tree["params"], tree["state"], input=one)


def to_torch(path: str | os.PathLike, name: str, network: Network) -> None:
    """Writes the values of a model of the zoo as safetensors that PyTorch loads into its own.

    Example:
        fcnn.models.to_torch("resnet18.safetensors", "resnet18", network)
        # model.load_state_dict(safetensors.torch.load_file("resnet18.safetensors"))

    Raises:
        ValueError: how PyTorch code names the modules of this model is not known.
    """
    dialect = dialects_of(name)[0]
    leaves = trees.flat({"params": network.params, "state": network.state})
    arrays = {
        _name(dialect, leaf): dialect.theirs(leaf.partition("/")[2], np.asarray(array))
        for leaf, array in leaves.items()
    }
    for key in [key for key in arrays if key.endswith(".running_mean")]:
        arrays[key.replace("running_mean", "num_batches_tracked")] = np.array(0)
    write_safetensors(path, arrays, {"format": "pt"})


def _name(dialect: Dialect, leaf: str) -> str:
    """Their name for a leaf of params or state."""
    return dialect.name(leaf.partition("/")[2])
