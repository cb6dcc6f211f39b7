"""What a run begins with: a new model, or a network that was trained before."""

import re
from typing import Any

import jax
import numpy as np

from .. import models
from ..core import Layer, Network, describe, out_spec, serial, trees
from ..data import Dataset
from ..layers import rescale
from ..train.feeding import count_classes
from .sources import WHITE, read_network, say


def fresh(model: str, *parts: Dataset, **options: Any) -> Layer:
    """The model for this data; one for pictures of integers begins by bringing them to [0, 1]."""
    layer = models.build(model, classes=count_classes(*parts), **options)
    dtype = parts[0].x.dtype
    if dtype.kind not in "iu":
        return layer
    say(f"x holds {dtype}: the network begins with a division by {WHITE}")
    return serial(rescale(1 / WHITE), layer)


def from_file(source: str, seed: int, *parts: Dataset) -> Network:
    """The network of a run or a file for this data: with a new head, if its classes are others.

    Raises:
        ValueError: it takes inputs of another kind, or has no head that can be replaced.
        OSError: there is none.
    """
    network = read_network(source)
    dtype = np.dtype(parts[0].x.dtype)
    outputs = _outputs(network)
    if (dtype.kind in "iu") != (network.input.dtype.kind in "iu"):
        raise ValueError(
            f"{source} takes {describe(network.input)}, with values up to "
            f"{WHITE if network.input.dtype.kind in 'iu' else 1}; the data holds {dtype}: bring it "
            "to the same"
        )
    classes, names = count_classes(*parts), parts[0].classes
    other_names = None not in (names, network.classes) and {*names} != {*network.classes}
    if outputs == classes and not other_names:
        return network
    say(
        f"{source} has {outputs} outputs{_listed(network.classes)}, and the data {classes} "
        f"classes{_listed(names)}: its head is replaced by a new one"
    )
    return models.replace_head(network, classes, jax.random.key(seed))


def but(freeze: str | None, params: Any) -> str:
    """The pattern of what is trained: all that does not match.

    Raises:
        ValueError: nothing matches, or everything.
    """
    if freeze is None:
        return ".*"
    paths = list(trees.flat(params))
    frozen = [path for path in paths if re.fullmatch(freeze, path)]
    if not frozen:
        known = ", ".join(paths[:12])
        raise ValueError(f"--freeze {freeze!r} matches no parameter; their paths are {known}, ...")
    if len(frozen) == len(paths):
        raise ValueError(f"--freeze {freeze!r} matches all parameters, which leaves none to train")
    return rf"(?!(?:{freeze})\Z).*"


def _outputs(network: Network) -> int:
    if network.input is None:
        raise ValueError(f"{network!r} does not say what inputs it takes")
    x = jax.ShapeDtypeStruct((1, *network.input.shape), network.input.dtype)
    return out_spec(network.layer, x).shape[-1]


def _listed(names: tuple[str, ...] | None) -> str:
    if names is None:
        return ""
    return f" ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"
