"""Weights that others trained: their names and axes, and ours.

A dialect says how PyTorch code names the modules of a network: rules ``(pattern, replacement)`` on
our paths, of which the first that matches the whole path of a module counts. The axes follow from
what a leaf is: a kernel ``[h, w, in, out]`` is a weight ``[out, in, h, w]`` there, a dense kernel
``[in, out]`` a weight ``[out, in]``, and the scale of a norm a weight, too.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


@dataclass(frozen=True)
class Dialect:
    """How PyTorch code names the modules of a network.

    Attributes:
        rules: Pairs of a pattern for our path of a module, or of a single leaf, and its name there:
            a text with groups of the pattern, as in ``re.sub``, or a function of the match.
        flattened: For each dense layer that follows a flatten, by its path, the ``(h, w, c)`` of
            what was flattened: PyTorch has the channels first.
        pointwise: A pattern for our paths of leaves that have two more axes there, of length one:
            the kernels of dense layers that are convolutions 1x1 there.
        left_out: A pattern for names of theirs that we have no use for: heads for training only.
        size: Height and width of the images that the weights are made for.
    """

    rules: Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
    flattened: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    pointwise: str = ""
    left_out: str = ""
    size: int = 224

    def name(self, path: str) -> str:
        """What a leaf of ours, by its path, is called there.

        Raises:
            ValueError: no rule knows its module.
        """
        module, _, leaf = path.rpartition("/")
        ends = {module: f".{LEAVES.get(leaf, leaf)}", path: ""}
        for pattern, replacement in self.rules:
            for ours, end in ends.items():
                if match := re.fullmatch(pattern, ours):
                    known = isinstance(replacement, str)
                    return (match.expand(replacement) if known else replacement(match)) + end
        raise ValueError(f"no rule of the dialect names {path!r}")

    def ours(self, path: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """An array of theirs with our axes, for a leaf of this shape."""
        module, _, leaf = path.rpartition("/")
        if leaf != "kernel":
            return array.reshape(shape) if array.size == np.prod(shape, dtype=int) else array
        if len(shape) == 2 and module in self.flattened:
            h, w, c = self.flattened[module]
            array = array.reshape(len(array), c, h, w).transpose(0, 2, 3, 1)
        if len(shape) == 2:  # also a convolution 1x1 of theirs that is a dense layer here
            return array.reshape(len(array), -1).T
        return array.transpose(*range(2, array.ndim), 1, 0)

    def theirs(self, path: str, array: np.ndarray) -> np.ndarray:
        """An array of ours with their axes."""
        module, _, leaf = path.rpartition("/")
        shape = array.shape
        if leaf == "kernel" and module in self.flattened:
            h, w, c = self.flattened[module]
            array = array.T.reshape(-1, h, w, c).transpose(0, 3, 1, 2).reshape(shape[::-1])
        elif leaf == "kernel":
            array = array.transpose(-1, -2, *range(array.ndim - 2))
        return array[..., None, None] if re.fullmatch(self.pointwise, path) else array


_DIALECTS: dict[str, tuple[Dialect, ...]] = {}


def speaks(names: Sequence[str], *dialects: Dialect) -> None:
    """Enters how others name the modules of these models; the first is the way back."""
    for name in names:
        _DIALECTS[name] = dialects


def dialects_of(name: str) -> tuple[Dialect, ...]:
    """How others name the modules of a model.

    Raises:
        ValueError: it is not known; the models for which it is are listed.
    """
    if name not in _DIALECTS:
        raise ValueError(
            f"the names of PyTorch's modules are not known for {name!r}; they are for "
            f"{', '.join(sorted(_DIALECTS))}"
        )
    return _DIALECTS[name]
