"""Files of Keras: ``.weights.h5`` and ``.keras`` of Keras 3, and ``.h5`` as Keras 2 wrote it.

They are HDF5 files (a ``.keras`` is a zip that holds one), read by h5py. Links, and arrays that lie
elsewhere than in the file, are refused.
"""

import io
import math
import os
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

from .. import extras
from . import archives, reading
from .reading import naming

_MEMBER = "model.weights.h5"
_MOST_OBJECTS, _DEEPEST = 100_000, 40
_FILTERS = (1, 2, 3)  # deflate, shuffle, Fletcher's checksum; others HDF5 would look for as plugins


def read_keras(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a Keras model, by their paths in the file, in the order they were written.

    In files of Keras 3 a path is ``layers/conv2d/vars/0``, where ``conv2d_1`` is the second layer
    of its class; where the file knows the layer's own name, that stands there instead:
    ``layers/block1_conv1/vars/0``. In files of Keras 2 a path is
    ``block1_conv1/block1_conv1/kernel:0``. The variables of an optimizer come with those of
    Keras 3, under ``optimizer``.

    Needs h5py, which the extra ``keras`` brings.

    Raises:
        ImportError: h5py is not installed.
        OSError: the file is not there, or may not be read.
        WeightsError: it is damaged, or no file of Keras.
    """
    h5py = extras.require("h5py", "keras")
    data = reading.whole(path)
    with naming(path):
        if archives.is_zip(data):
            member = archives.members(data).get(_MEMBER)
            if member is None:
                raise ValueError(f"is a zip without {_MEMBER}, so none of Keras 3")
            data = bytes(archives.content(data, member))
        with h5py.File(io.BytesIO(data), "r") as file:
            root = _child(h5py, file, "model_weights") if "model_weights" in file else file
            legacy = _attribute(root, "layer_names") is not None
            found = dict(_legacy(h5py, root) if legacy else _variables(h5py, root))
            if not found:
                raise ValueError("holds no variables of Keras")
            reading.check_room(map(_size, found.values()), len(data))
            return {name: _array(dataset) for name, dataset in found.items()}


def _variables(h5py: Any, root: Any) -> Iterator[tuple[str, Any]]:
    """The datasets below groups called ``vars``, and how the layers are called they belong to.

    Keras 3 writes no order down; that of the numbers in the file is the one they were written in.
    """
    groups: list[tuple[int, str, list[tuple[str, Any]]]] = []
    waiting, left = [("", "", root)], _MOST_OBJECTS
    while waiting:
        path, last, group = waiting.pop()
        left -= 1 + len(group)
        if left < 0 or path.count("/") > _DEEPEST:
            raise ValueError(f"has groups {_DEEPEST} deep, or {_MOST_OBJECTS:,} objects, or more")
        variables = []
        for name in group:
            child = _child(h5py, group, name)
            if not isinstance(child, h5py.Dataset):
                shown = (_layer_name(h5py, child) if last == "layers" else None) or name
                waiting.append((f"{path}/{shown}" if path else shown, name, child))
            elif last == "vars":
                variables.append((name, child))
        if variables:
            place = min(child.id.get_offset() or 0 for _, child in variables)
            variables.sort(key=lambda pair: (len(pair[0]), pair[0]))  # 10 comes after 9
            groups.append((place, path, variables))
    if len({path for _, path, _ in groups}) != len(groups):
        raise ValueError("has two layers of one name")
    for _, path, variables in sorted(groups, key=lambda group: group[0]):
        yield from ((f"{path}/{name}", child) for name, child in variables)


def _layer_name(h5py: Any, group: Any) -> str | None:
    if "vars" not in group:
        return None
    name = _child(h5py, group, "vars").attrs.get("name")
    name = name.decode() if isinstance(name, bytes) else name
    return name if isinstance(name, str) else None


def _legacy(h5py: Any, root: Any) -> Iterator[tuple[str, Any]]:
    """The weights that the attributes tell of, in the order of the layers."""
    layers = _attribute(root, "layer_names") or []
    if "top_level_model_weights" in root:
        layers.append("top_level_model_weights")
    if len(set(layers)) != len(layers):
        raise ValueError("has two layers of one name")
    for layer in layers:
        group = _child(h5py, root, layer)
        for name in dict.fromkeys(_attribute(group, "weight_names") or []):
            item = _child(h5py, group, name)
            if not isinstance(item, h5py.Dataset):
                raise ValueError(f"has no array {name!r:.80} in the layer {layer!r:.80}")
            yield f"{layer}/{name}", item


def _attribute(group: Any, name: str) -> list[str] | None:
    """A list of names, which stands in several attributes where it is long."""
    if name in group.attrs:
        parts = [name]
    else:
        parts = [f"{name}{i}" for i in range(len(group.attrs)) if f"{name}{i}" in group.attrs]
    texts = [text for part in parts for text in np.ravel(group.attrs[part])]
    texts = [text.decode() if isinstance(text, bytes) else text for text in texts]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"has {name} that are no texts")
    return texts if parts else None


def _child(h5py: Any, group: Any, path: str) -> Any:
    """What lies at a path in a group, if no link leads there and its numbers are in the file."""
    for name in path.split("/"):
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"has a link {name!r:.80} to elsewhere, or nothing of that name")
        group = group[name]
    if isinstance(group, h5py.Dataset) and (group.external or group.is_virtual):
        raise ValueError(f"has an array {path!r:.80} whose numbers lie in other files")
    return group


def _size(dataset: Any) -> int:
    """The bytes of an array, or of one of its chunks, if those are more."""
    sizes = (reading.shape_of(dataset.shape), dataset.chunks or ())
    filters = dataset.id.get_create_plist()
    for number in range(filters.get_nfilters()):
        if filters.get_filter(number)[0] not in _FILTERS:
            raise ValueError("has an array that is packed in a way that is not known")
    return max(map(math.prod, sizes)) * dataset.dtype.itemsize


def _array(dataset: Any) -> np.ndarray:
    marked = dataset.attrs.get("dtype")
    marked = marked.decode() if isinstance(marked, bytes) else marked
    if isinstance(marked, str) and marked == "bfloat16" and dataset.dtype.itemsize == 2:
        return np.asarray(dataset[()], order="C").view(ml_dtypes.bfloat16)
    if dataset.dtype.kind not in "biufc":
        raise ValueError(f"has an array of the type {dataset.dtype!s:.40}, which is no number")
    return reading.native(dataset[()])
