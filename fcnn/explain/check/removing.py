"""Deletion and insertion: the strongest positions of a map go first, and the output follows."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...core import Network, identity
from ...ops.windows import positive
from ..perturbations import every_pair, scores, whole
from ..targets import baselines, images
from .chance import Method, maps_of, random_maps, some

_ACTIVATIONS = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid}


@dataclass(frozen=True, eq=False, repr=False)
class Removal:
    """How an output changes while positions are hidden or shown, the strongest of a map first.

    Attributes:
        kind: "deletion" or "insertion".
        part: The part of the positions, from 0 to 1, ``[s]``.
        curves: The output at each part, ``[n, s]``: a probability, for a classifier.
        random: The same for random maps.
    """

    kind: str
    part: np.ndarray
    curves: np.ndarray
    random: np.ndarray

    @cached_property
    def auc(self) -> np.ndarray:
        """The area under each curve, ``[n]``: low is good in deletion, high in insertion."""
        return np.trapezoid(self.curves, self.part)

    @cached_property
    def random_auc(self) -> np.ndarray:
        """The area under each curve of random maps, ``[n]``."""
        return np.trapezoid(self.random, self.part)

    @cached_property
    def better(self) -> np.ndarray:
        """Whether each map is better than a random one, ``[n]``."""
        gain = self.auc - self.random_auc
        return gain > 0 if self.kind == "insertion" else gain < 0

    def __str__(self) -> str:
        n, wish = len(self.auc), "high" if self.kind == "insertion" else "low"
        return (
            f"{self.kind}: AUC {self.auc.mean():.3f}, random maps {self.random_auc.mean():.3f} "
            f"({wish} is good); better than random in {self.better.sum()} of {n} examples"
        )

    def __repr__(self) -> str:
        return f"<{self}>"


def deletion(
    network: Network,
    x: Any,
    maps: np.ndarray | Method,
    target: Any = None,
    *,
    baseline: Any = 0.0,
    steps: int = 32,
    seed: int = 0,
    batch_size: int = 64,
) -> Removal:
    """How fast an output falls when positions are hidden, the strongest of a map first.

    RISE's measure (Petsiuk et al., 2018, arXiv:1806.07421): the probability of the target against
    the part of the positions hidden. A good map makes it fall early, so its area is small.

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        maps: Their maps ``[n, h, w]``, or a method ``(network, x, target) -> maps``.
        target: Which output: a number, one for each example, or by default the predicted class.
        baseline: What stands in for hidden positions: a number (0 is black), one for each channel,
            one input, or one for each example, such as the inputs blurred.
        steps: In how many steps all positions are hidden.
        seed: Of the random maps, and of the order of positions that are equal in a map.
        batch_size: Altered examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: ``x`` does not fit the network, it has no such output, there are no examples,
            ``maps`` or the baseline have another shape, or there are more steps than positions.
    """
    options = {"baseline": baseline, "steps": steps, "seed": seed, "batch_size": batch_size}
    return _removal("deletion", network, x, maps, target, **options)


def insertion(
    network: Network,
    x: Any,
    maps: np.ndarray | Method,
    target: Any = None,
    *,
    baseline: Any = 0.0,
    steps: int = 32,
    seed: int = 0,
    batch_size: int = 64,
) -> Removal:
    """How fast an output rises when positions are shown, the strongest of a map first.

    As ``deletion``, from the baseline to the input: a good map makes the output rise early, so its
    area is large.

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        maps: Their maps ``[n, h, w]``, or a method ``(network, x, target) -> maps``.
        target: Which output, as for ``deletion``.
        baseline: What stands in for positions not yet shown, as for ``deletion``.
        steps: In how many steps all positions are shown.
        seed: Of the random maps, and of the order of positions that are equal in a map.
        batch_size: Altered examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: as for ``deletion``.
    """
    options = {"baseline": baseline, "steps": steps, "seed": seed, "batch_size": batch_size}
    return _removal("insertion", network, x, maps, target, **options)


def _removal(
    kind: str,
    network: Network,
    x: Any,
    maps: np.ndarray | Method,
    target: Any,
    *,
    baseline: Any,
    steps: int,
    seed: int,
    batch_size: int,
) -> Removal:
    x = some(images(network, x))
    positions = x[0, ..., 0].size
    positive(steps=steps)
    if steps > positions:
        raise ValueError(f"an input has {positions} positions, too few for {steps} steps")
    target, _ = whole(network, x, target, batch_size)
    empty = baselines(baseline, x)
    before, after = (x, empty) if kind == "deletion" else (empty, x)
    taken = np.round(np.linspace(0, positions, steps + 1)).astype(np.int32)
    pairs = every_pair(len(x), len(taken))

    def curves(maps):
        examples = target, before, after, _ranks(maps, seed)
        values = scores(
            network,
            _exchanged,
            examples,
            (taken,),
            pairs,
            batch_size=batch_size,
            activation=_ACTIVATIONS.get(network.output, identity),
        )
        return values.reshape(len(x), -1)

    found = maps_of(network, x, maps, target)
    chance = random_maps(network, x, seed=seed)
    return Removal(kind, taken / positions, curves(found), curves(chance))


def _ranks(maps: np.ndarray, seed: int) -> np.ndarray:
    """The place of each position in the order of its map, the strongest 0; ties are drawn."""
    flat = maps.reshape(len(maps), -1)
    lots = np.random.Generator(np.random.Philox(seed)).random(flat.shape)
    order = np.lexsort((lots, -flat))
    return np.argsort(order, 1).reshape(maps.shape).astype(np.int32)


def _exchanged(
    before: jax.Array, after: jax.Array, ranks: jax.Array, taken: jax.Array
) -> jax.Array:
    first = ranks < taken.reshape(-1, *(1 for _ in ranks.shape[1:]))
    return jnp.where(first[..., None], after, before)
