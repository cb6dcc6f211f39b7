"""A network as one file: its values, its recipe, and a SHA-256 over every byte.

The file is a zip of two stored members, ``manifest.json`` and ``state.npz``. Its comment, the last
64 bytes, is the SHA-256 of all bytes before. The layer is rebuilt from its recipe through the
registry, an allow-list, so no code is in the file and none is looked up by a name from it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from ..core import Layer, Network, as_layer, build, describe, observers, trees
from . import checkpoints, manifest, tensors
from .files import CheckpointCorruptError, CheckpointError, write_file

FORMAT = 1


def save(path: str | os.PathLike, network: Network) -> None:
    """Writes a network to one file, atomically: the old file or the new one is there, never half.

    A network whose layer holds a lambda or a private function keeps its values, and ``load`` asks
    for the layer.

    Example:
        >>> import fcnn, jax, tempfile
        >>> model = fcnn.serial(fcnn.conv(4), fcnn.relu)
        >>> params, state = model.init(jax.random.key(0), jax.numpy.ones((1, 8, 8, 1)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fcnn.save(f"{folder}/small.fcnn", fcnn.Network(model, params, state))
        ...     fcnn.load(f"{folder}/small.fcnn")
        <network serial(conv(4), relu), 40 parameters>

    Raises:
        TypeError: it is no network, or its values are not nested dicts of arrays.
        CheckpointError: the values do not fit the layer, or the file cannot be written.
    """
    if not isinstance(network, Network):
        raise TypeError(f"save takes a Network, got {network!r:.80}")
    try:
        pieces = _encode(network)
        _check_fit(network)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    write_file(path, *pieces)


def load(path: str | os.PathLike, layer: Layer | None = None) -> Network:
    """The network in a file that ``save`` wrote, or in a checkpoint.

    Args:
        path: The file; or a folder of the checkpoints of ``fit``, of which the newest intact one is
            taken, or one of them.
        layer: The layer the values belong to; needed only where the file has no recipe, and used
            instead of the recipe where it has one.

    Raises:
        FileNotFoundError: there is no such file or checkpoint.
        CheckpointCorruptError: its bytes are not those that were written.
        CheckpointError: it cannot be read, was written by a newer version, needs ``layer``, or the
            values do not fit the layer; all differences are listed.
    """
    if Path(path).is_dir():
        return _load_checkpoint(Path(path), layer)
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        entries, values = _decode(memoryview(data))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except Exception as error:
        raise CheckpointCorruptError(f"{path}: damaged, or no network of fcnn: {error}") from error
    return _fitting(path, entries, values, layer)


def _load_checkpoint(path: Path, layer: Layer | None) -> Network:
    if checkpoints.is_name(path.name):
        found = checkpoints.read_checkpoint(path)
    else:
        found, passed_over = checkpoints.newest_checkpoint(path)
        if found is None and passed_over:
            raise passed_over[0]
        if found is None:
            raise FileNotFoundError(f"{path}: holds no checkpoints")
    if not isinstance(entries := found.notes.get("network"), dict):
        raise CheckpointError(f"{found.path}: is not of a run, and says nothing of its layer")
    values = {name: found.values[name] for name in ("params", "state") if name in found.values}
    means = found.values.get("average", {})
    for name in values.keys() & means.keys():  # of a run that keeps averages
        values[name] = jax.tree.map(lambda m, like: m.astype(like.dtype), means[name], values[name])
    return _fitting(found.path, entries, values, layer)


def _fitting(
    path: str | os.PathLike,
    entries: Mapping[str, Any],
    values: Mapping[str, Any],
    layer: Layer | None,
) -> Network:
    try:
        network = _network(entries, values, layer)
        _check_fit(network)
    except Exception as error:
        raise CheckpointError(f"{path}: {error}") from error
    return network


def _encode(network: Network) -> tuple[memoryview, bytes]:
    """The file as two pieces: the zip without its comment, and the comment."""
    state, tree = tensors.encode({"params": network.params, "state": network.state})
    description = manifest.encode(
        {
            "format": FORMAT,
            **description_of(network),
            "tree": tree,
            "files": {"state.npz": {"bytes": len(state), "sha256": manifest.sha256(state)}},
            "versions": manifest.versions(),
        }
    )
    members = [("manifest.json", description), ("state.npz", state)]
    body = memoryview(tensors.zipped(members, comment=bytes(64)))[:-64]
    return body, manifest.sha256(body).encode()


def description_of(network: Network) -> dict[str, Any]:
    """What a network is beside its values, as JSON.

    Raises:
        TypeError: the names of its classes are no text.
    """
    recipe, x, classes = network.layer.recipe, network.input, network.classes
    if classes is not None and not all(isinstance(name, str) for name in classes):
        raise TypeError(f"classes must be names, got {classes!r:.80}")
    return {
        "recipe": "custom" if recipe is None else recipe.to_json(),
        "classes": None if classes is None else list(classes),
        "output": network.output,
        "input": None if x is None else {"shape": list(x.shape), "dtype": x.dtype.name},
    }


def _decode(data: memoryview) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest and the values; whatever it raises but CheckpointError means a damaged file."""
    if bytes(data[-64:]) != manifest.sha256(data[:-64]).encode():
        raise ValueError("the SHA-256 at its end does not match")
    start = tensors.member_start(data, 0, "manifest.json")
    end = start + int.from_bytes(data[18:22], "little")  # the size in the first local header
    entries = manifest.decode(bytes(data[start:end]))
    if entries["format"] != FORMAT:
        raise CheckpointError(
            f"has format {entries['format']!r:.20}; this version of fcnn reads format {FORMAT}, "
            "a newer one may read it"
        )
    start = tensors.member_start(data, end, "state.npz")
    state = data[start : start + entries["files"]["state.npz"]["bytes"]]
    if manifest.sha256(state) != entries["files"]["state.npz"]["sha256"]:
        raise ValueError("the SHA-256 of state.npz does not match")
    return entries, tensors.decode(state, entries["tree"])


def _network(entries: Mapping[str, Any], values: Mapping[str, Any], layer: Layer | None) -> Network:
    if layer is None:
        if entries["recipe"] == "custom":
            raise ValueError(
                "its layer is not made of registered parts alone, so only the values are in the "
                "file; make the layer and give it: load(path, layer=...)"
            )
        layer = build(entries["recipe"])
    if values.keys() != {"params", "state"}:
        raise ValueError(f"holds {', '.join(values)}; a network has params and state")
    classes, x = entries["classes"], entries["input"]
    return Network(
        as_layer(layer),
        values["params"],
        values["state"],
        classes=None if classes is None else tuple(map(str, classes)),
        output=str(entries["output"]),
        input=None if x is None else jax.ShapeDtypeStruct(x["shape"], tensors.DTYPES[x["dtype"]]),
    )


def _check_fit(network: Network) -> None:
    """Compares the values with those the layer would make, where its input is known.

    Raises:
        ValueError: listing every path that is missing, unexpected or of another shape.
    """
    if network.input is None:
        return
    batch = jax.ShapeDtypeStruct((1, *network.input.shape), network.input.dtype)
    with observers():
        params, state = jax.eval_shape(network.layer.init, jax.random.key(0), batch)
    needed = trees.flat({"params": params, "state": state})
    found = trees.flat({"params": network.params, "state": network.state})
    problems = []
    for path in sorted(needed.keys() | found.keys()):
        if path not in found:
            problems.append(f"missing: {path} {describe(needed[path])}")
        elif path not in needed:
            problems.append(f"unexpected: {path} {describe(found[path])}")
        elif found[path].shape != needed[path].shape:
            problems.append(
                f"other shape: {path} is {describe(found[path])}, not {describe(needed[path])}"
            )
    if problems:
        lines = "\n  ".join(problems)
        raise ValueError(f"the values do not fit the layer {network.layer!r:.200}\n  {lines}")
