"""Infidelity and sensitivity: what a map says of small moves of the input, and how it moves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ...core import Network
from ...ops.windows import positive
from ..perturbations import every_pair, scores, spread_of, whole
from ..targets import images
from .chance import Method, maps_of, some


@dataclass(frozen=True, eq=False, repr=False)
class Infidelity:
    """How far a map is from what small moves of the input do to an output.

    Attributes:
        values: For each example, ``[n]``; low is good.
        random: The same for random maps.
        nothing: The same for maps of zeros: how much the output moves at all.
    """

    values: np.ndarray
    random: np.ndarray
    nothing: np.ndarray

    def __str__(self) -> str:
        better, n = (self.values < self.random).sum(), len(self.values)
        return (
            f"infidelity: {self.values.mean():.4g}, random maps {self.random.mean():.4g}, "
            f"no map {self.nothing.mean():.4g} (low is good); better than random in {better} of "
            f"{n} examples"
        )

    def __repr__(self) -> str:
        return f"<{self}>"


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity:
    """How far a map moves, as part of its norm, when the input hardly does.

    Attributes:
        values: The most for each example, ``[n]``; low is good.
    """

    values: np.ndarray

    def __str__(self) -> str:
        return (
            f"sensitivity: {self.values.mean():.4g} on average, at most {self.values.max():.4g} "
            f"in {len(self.values)} examples (low is good)"
        )

    def __repr__(self) -> str:
        return f"<{self}>"


def infidelity(
    network: Network,
    x: Any,
    maps: np.ndarray | Method,
    target: Any = None,
    *,
    noise: float = 0.1,
    samples: int = 64,
    scaled: bool = True,
    seed: int = 0,
    batch_size: int = 64,
) -> Infidelity:
    """The squared error of a map as a linear model: ``E (I . map - (f(x) - f(x - I)))**2``.

    Yeh et al. (2019, arXiv:1901.09392), with Gaussian noise ``I``. A map of positions ``[n, h, w]``
    meets noise that is the same in all channels, one of values ``[n, h, w, c]`` its own in each.
    The formula takes maps for slopes: saliency with its sign, ``smooth_grad``.

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        maps: Their maps, or a method ``(network, x, target) -> maps``.
        target: Which output: a number, one for each example, or by default the predicted class.
        noise: The standard deviation, as part of the range of each example's values.
        samples: How often noise is drawn; it is the same for all examples.
        scaled: Whether each map is first multiplied by the number that suits it best, so that it
            is its form that counts and not its unit.
        seed: Of the noise and the random maps.
        batch_size: Altered examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: ``x`` does not fit the network, it has no such output, there are no examples,
            maps have another shape, or ``noise`` or ``samples`` is not positive.
    """
    x = some(images(network, x))
    target, before = whole(network, x, target, batch_size)
    found = maps_of(network, x, maps, target, channels=True)
    shape = found.shape[1:] if found.ndim == x.ndim else (*found.shape[1:], 1)
    draws = moves(
        np.random.Generator(np.random.Philox(seed)).standard_normal, shape, noise, samples
    )
    size = spread_of(x)
    after = scores(
        network,
        _moved,
        (target, x, size),
        (draws,),
        every_pair(len(x), samples),
        batch_size=batch_size,
    )
    fall = before[:, None] - after.reshape(len(x), samples)

    def error(maps):
        dot = maps.reshape(len(x), -1) @ draws.reshape(samples, -1).T.astype(np.float64)
        said = dot * size.reshape(-1, 1)
        if scaled:
            square = (said**2).sum(1, keepdims=True)
            said *= (said * fall).sum(1, keepdims=True) / np.where(square, square, 1)
        return np.square(said - fall).mean(1)

    chance = np.random.Generator(np.random.Philox([seed, 1])).random(found.shape)
    return Infidelity(error(found), error(chance), error(np.zeros_like(found)))


def sensitivity(
    network: Network,
    x: Any,
    method: Method,
    target: Any = None,
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
    batch_size: int = 64,
) -> Sensitivity:
    """How far a map moves at most: ``max |map(x + d) - map(x)| / |map(x)|`` for small ``d``.

    The max-sensitivity of Yeh et al. (2019, arXiv:1901.09392), by uniform random moves ``d``.

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        method: ``(network, x, target) -> maps``.
        target: Which output: a number, one for each example, or by default the predicted class.
        radius: The largest move of a value, as part of the range of each example's values.
        samples: How many moves; they are the same for all examples.
        seed: Of the moves.
        batch_size: Examples at a time, for the predicted class.

    Raises:
        TypeError: ``target`` is neither None nor integers, or ``method`` is no function.
        ValueError: ``x`` does not fit the network, it has no such output, there are no examples,
            or ``radius`` or ``samples`` is not positive.
    """
    if not callable(method):
        raise TypeError("sensitivity moves the input and needs the method itself, not its maps")
    x = some(images(network, x))
    target, _ = whole(network, x, target, batch_size)
    rng = np.random.Generator(np.random.Philox(seed))
    draws = moves(lambda shape: rng.uniform(-1, 1, shape), x.shape[1:], radius, samples)
    first = maps_of(network, x, method, target, channels=True)
    norm = _norm(first)
    most = np.zeros(len(x))
    for draw in draws:
        moved = maps_of(network, x + draw * spread_of(x), method, target, channels=True)
        most = np.maximum(most, _norm(moved - first) / np.where(norm, norm, 1))
    return Sensitivity(most)


def moves(
    draw: Callable[[tuple[int, ...]], np.ndarray],
    shape: tuple[int, ...],
    size: float,
    samples: int,
) -> np.ndarray:
    """Draws of noise ``[samples, *shape]``, float32.

    Raises:
        ValueError: ``size`` or ``samples`` is not positive.
    """
    positive(samples=samples)
    if size <= 0:
        raise ValueError(f"the size of noise must be positive, got {size!r}")
    return np.float32(size * draw((samples, *shape)))


def _moved(x: jax.Array, size: jax.Array, draw: jax.Array) -> jax.Array:
    return x - (size * draw).astype(x.dtype)


def _norm(maps: np.ndarray) -> np.ndarray:
    return np.linalg.norm(maps.reshape(len(maps), -1), axis=1)
