"""Images at another resolution: ``[n, h, w, c] -> [n, h', w', c']``.

All of them take sequences and volumes as well. A cell is a little square whose value stands at
its centre: cell ``i`` of ``m`` lies at ``(i + 1/2) n / m - 1/2`` among the ``n`` of the input.
"""

import string
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .cpu import resizing as cpu
from .lowerings import is_native
from .primitives import linear
from .windows import Sides, check, describe, floating, per_side, positive, spatial, wide

METHODS = ("nearest", "bilinear", "bicubic", "lanczos")


def resize(
    x: jax.Array,
    size: Sides,
    method: str = "nearest",
    *,
    antialias: bool | None = None,
    align_corners: bool = False,
    what: str = "resize",
) -> jax.Array:
    """Resamples the spatial dimensions to ``size``.

    Args:
        method: ``"nearest"`` (as Pillow, and torch's ``"nearest-exact"``), ``"bilinear"`` and
            ``"bicubic"`` (linear and cubic along each dimension, whatever their number), or
            ``"lanczos"`` (with three lobes).
        antialias: Whether shrinking averages over all the cells that fall into a new one, as
            Pillow does, and torch with ``antialias=True``; on unless ``align_corners``. Without
            it only the nearest cells count, and the cubic is torch's other one (a = -0.75).
        align_corners: Whether the centres of the first and last cells stay in their places,
            rather than the outer edges of the image.
        what: Who asks, for the text of errors.

    Raises:
        ValueError: an option is unknown, does not go with another, or has too many entries.
        TypeError: ``x`` is not floating-point and has to be, for all but ``"nearest"``.
    """
    check_method(method, antialias, align_corners)
    check(size=size)
    x = jnp.asarray(x)
    sizes = spatial(x, what)
    if min(sizes) < 1:
        raise ValueError(f"{what}: there is nothing to resize in {describe(x)}")
    targets = per_side(size, len(sizes), "size", what)
    if method == "nearest":
        for axis, (n, m) in enumerate(zip(sizes, targets, strict=True), start=1):
            x = _nearest(x, axis, n, m)
        return x
    floating(x, what)
    antialias = not align_corners if antialias is None else antialias
    options = (method, antialias, align_corners)
    how = tuple((n, m, *options) if n != m else None for n, m in zip(sizes, targets, strict=True))
    y = wide(x)
    run = _products if is_native() else _resampled_p
    return run(y, how=how, like=y.shape[1:]).astype(x.dtype)


def pixel_shuffle(x: jax.Array, factor: int, *, what: str = "pixel_shuffle") -> jax.Array:
    """Channels become space: ``[n, h, w, c r^2] -> [n, h r, w r, c]`` for a factor ``r``.

    The order is torch's: channel ``c r^2 + i r + j`` is the cell in row ``i`` and column ``j`` of
    a square (Shi et al., 2016, arXiv:1609.05158).

    Raises:
        ValueError: the channels do not divide into squares.
    """
    positive(factor=factor)
    x = jnp.asarray(x)
    sizes = spatial(x, what)
    rank, n, (c, rest) = len(sizes), x.shape[0], divmod(x.shape[-1], factor ** len(sizes))
    if rest:
        raise ValueError(
            f"{what}: {x.shape[-1]} channels do not divide by {factor}^{rank} = {factor**rank}"
        )
    x = x.reshape(n, *sizes, c, *(factor,) * rank)
    order = [axis for i in range(rank) for axis in (1 + i, rank + 2 + i)]
    return x.transpose(0, *order, rank + 1).reshape(n, *(s * factor for s in sizes), c)


def pixel_unshuffle(x: jax.Array, factor: int, *, what: str = "pixel_unshuffle") -> jax.Array:
    """Space becomes channels, ``[n, h r, w r, c] -> [n, h, w, c r^2]``: undoes ``pixel_shuffle``.

    Raises:
        ValueError: the spatial sizes do not divide by the factor.
    """
    positive(factor=factor)
    x = jnp.asarray(x)
    sizes = spatial(x, what)
    rank, n, c = len(sizes), x.shape[0], x.shape[-1]
    if any(s % factor for s in sizes):
        raise ValueError(f"{what}: the sizes of {describe(x)} do not divide by {factor}")
    x = x.reshape(n, *(part for s in sizes for part in (s // factor, factor)), c)
    outer, inner = range(1, 2 * rank, 2), range(2, 2 * rank + 1, 2)
    x = x.transpose(0, *outer, 2 * rank + 1, *inner)
    return x.reshape(n, *(s // factor for s in sizes), c * factor**rank)


def check_method(method: str, antialias: bool | None, align_corners: bool) -> None:
    """Refuses options of ``resize`` that suit no input.

    Raises:
        ValueError: the method is unknown, or the options do not go with each other.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if align_corners and (antialias or method in ("nearest", "lanczos")):
        raise ValueError(
            f"align_corners goes with bilinear and bicubic without antialias, "
            f"got {method!r} with antialias={antialias}"
        )


def _nearest(x, axis, n, m):
    if m % n == 0:  # a broadcast, whose gradient is a sum; that of a gather is slow
        return jnp.repeat(x, m // n, axis)
    return jnp.take(x, (2 * np.arange(m) + 1) * n // (2 * m), axis)


def _products(x, *, how, like):
    for axis, options in enumerate(how, start=1):
        if options is not None:
            letters = string.ascii_letters[: x.ndim]
            terms = f"{letters},Z{letters[axis]}->{letters.replace(letters[axis], 'Z')}"
            weights = jnp.asarray(_weights(*options), x.dtype)
            x = jnp.einsum(terms, x, weights, precision=lax.Precision.HIGHEST)
    return x


def _on_cpu(x, *, how, like):
    return cpu.resampled(x, tuple(options and _weights(*options) for options in how))


def _on_cpu_transposed(g, *, how, like):
    return cpu.resampled(g, tuple(options and _weights(*options).T for options in how))


_resampled_p = linear("resample", native=_products, cpu=_on_cpu, cpu_transposed=_on_cpu_transposed)


@lru_cache(maxsize=256)
def _weights(n: int, m: int, method: str, antialias: bool, align_corners: bool) -> np.ndarray:
    """The matrix ``[m, n]`` that resamples one dimension."""
    scale = (n - 1) / max(m - 1, 1) if align_corners else n / m
    centres = np.arange(m) * scale if align_corners else (np.arange(m) + 0.5) * scale - 0.5
    if antialias or method == "lanczos":
        widen = max(scale, 1.0) if antialias else 1.0
        distance = (np.arange(n) - centres[:, None]) / widen
        weights = _KERNELS[method](distance)
        return weights / weights.sum(1, keepdims=True)
    # Interpolation proper: the border cell stands for what lies beyond it.
    reach = {"bilinear": 1, "bicubic": 2}[method]
    taps = np.floor(centres)[:, None] + np.arange(1 - reach, reach + 1)
    values = _KERNELS[method](taps - centres[:, None], **({"a": -0.75} if reach == 2 else {}))
    weights = np.zeros((m, n))
    np.add.at(weights, (np.arange(m)[:, None], np.clip(taps, 0, n - 1).astype(int)), values)
    return weights


def _triangle(t):
    return np.maximum(0, 1 - np.abs(t))


def _cubic(t, a=-0.5):
    """Keys' cubic: the usual a is -0.5."""
    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t**2 + 1
    far = a * (((t - 5) * t + 8) * t - 4)
    return np.where(t < 1, near, np.where(t < 2, far, 0))


def _lanczos(t):
    return np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0)


_KERNELS = {"bilinear": _triangle, "bicubic": _cubic, "lanczos": _lanczos}
