"""The parameter-randomisation test: a map that explains a network changes when the network does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import random

from ...core import Network, child_key, spec, visits
from ...tables import html_table, text_table
from ..perturbations import whole
from ..targets import images
from .chance import Method, maps_of, some
from .similarity import rank_correlation, ssim


@dataclass(frozen=True, eq=False, repr=False)
class Randomisation:
    """How alike maps stay while a network is drawn anew, part by part from the head on.

    Attributes:
        parts: The paths of the parts, the last to run first; at each all before it are new too.
        rank: Spearman's correlation with the maps of the network itself, ``[parts, n]``.
        ssim: Their structural similarity, ``[parts, n]``.
        limit: The mean rank correlation from which on maps do not follow the network.
    """

    parts: tuple[str, ...]
    rank: np.ndarray
    ssim: np.ndarray
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the maps of a network without training are others."""
        return bool(self.rank[-1].mean() < self.limit)

    @property
    def verdict(self) -> str:
        """What that means, as a sentence."""
        found = f"rank correlation {self.rank[-1].mean():.2f} with a network without training"
        if self.passed:
            return f"passed: the maps follow what was learnt ({found}, below {self.limit:g})"
        return (
            f"FAILED: the maps hardly depend on what was learnt ({found}, not below "
            f"{self.limit:g}), so they explain the input and not the network"
        )

    def __str__(self) -> str:
        return f"{text_table(self._rows(), 'lrr')}\n\n{self.verdict}"

    def __repr__(self) -> str:
        return f"<randomisation {self.verdict}>"

    def _repr_html_(self) -> str:
        return f"{html_table(self._rows(), 'lrr')}<p>{self.verdict}</p>"

    def _rows(self) -> list[list[str]]:
        rows = [["drawn anew", "rank correlation", "SSIM"]]
        for i, (part, rank, structure) in enumerate(
            zip(self.parts, self.rank.mean(1), self.ssim.mean(1), strict=True)
        ):
            rows.append([f"+ {part}" if i else part, f"{rank:.3f}", f"{structure:.3f}"])
        return rows


def randomisation(
    network: Network,
    x: Any,
    method: Method,
    target: Any = None,
    *,
    limit: float = 0.5,
    seed: int = 0,
    batch_size: int = 64,
) -> Randomisation:
    """How alike maps stay when a network is drawn anew, part by part from the head on.

    The sanity check of Adebayo et al. (2018, arXiv:1810.03292). Parameters and running statistics
    get the initial values of another seed, and the magnitudes of the maps are compared with those
    of the network itself. An edge detector stays what it is, and fails.

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        method: ``(network, x, target) -> maps``.
        target: Which output: a number, one for each example, or by default the class that the
            network as it is predicts.
        limit: The mean rank correlation from which on maps have failed.
        seed: Of the new values.
        batch_size: Examples at a time, for the predicted class.

    Raises:
        TypeError: ``target`` is neither None nor integers, or ``method`` is no function.
        ValueError: ``x`` does not fit the network, it has no such output, or there are no examples.
    """
    if not callable(method):
        raise TypeError("randomisation draws networks and needs the method itself, not its maps")
    x = some(images(network, x))
    target, _ = whole(network, x, target, batch_size)
    new = network.layer.init(child_key(random.key(seed), "randomisation"), spec(x[:1]))
    new = jax.tree.map(
        lambda leaf, old: leaf.astype(old.dtype), new, (network.params, network.state)
    )
    first = _scaled(maps_of(network, x, method, target))
    ranks, structures, changed = [], [], network
    parts = _parts(network, x)
    for part in parts:
        params, state = new
        if part != parts[-1]:  # the last one takes along whatever has no path
            params, state = (
                _with(old, fresh, part.split("/"))
                for old, fresh in zip((changed.params, changed.state), new, strict=True)
            )
        changed = changed.replace(params=params, state=state)
        maps = _scaled(maps_of(changed, x, method, target))
        ranks.append(rank_correlation(first, maps))
        structures.append(ssim(first, maps))
    return Randomisation(tuple(parts), np.stack(ranks), np.stack(structures), limit)


def _parts(network: Network, x: np.ndarray) -> list[str]:
    """The children with parameters, the last to run first; those of an only child in its place."""
    paths: list[str] = []

    def run(x):
        _, seen = visits(network.layer.apply)(network.params, network.state, x)
        paths.extend(visit.path for visit in seen if jax.tree.leaves(visit.params))

    jax.eval_shape(run, spec(x[:1]))
    names = [path.split("/") for path in paths]
    parts = ["network"]
    for depth in range(1, max(map(len, names), default=0) + 1):
        found = dict.fromkeys("/".join(name[:depth]) for name in names if len(name) >= depth)
        parts = list(found) or parts
        if len(parts) > 1:
            break
    return parts[::-1]


def _with(old: Any, new: Any, path: list[str]) -> Any:
    """The tree ``old`` with what stands at the path in ``new``, where either has it."""
    name, *rest = path
    if not isinstance(old, Mapping) or name not in old:
        return old
    return {**old, name: _with(old[name], new[name], rest) if rest else new[name]}


def _scaled(maps: np.ndarray) -> np.ndarray:
    """Magnitudes, the largest of each map 1."""
    maps = np.abs(maps)
    most = maps.max(tuple(range(1, maps.ndim)), keepdims=True)
    return maps / np.where(most, most, 1)
