"""Layers that change the resolution and learn nothing."""

from .. import ops
from ..core import Layer, here, layer, pure
from ..ops.resizing import check_method
from ..ops.windows import Sides, check, per_side, positive, spatial


@layer
def resize(
    size: Sides | None = None,
    *,
    scale: float | tuple[float, ...] | None = None,
    method: str = "nearest",
    antialias: bool | None = None,
    align_corners: bool = False,
) -> Layer:
    """Resamples space: ``[n, h, w, c] -> [n, h', w', c]``.

    Example:
        >>> import fcnn, jax
        >>> images = jax.ShapeDtypeStruct((8, 16, 24, 3), "float32")
        >>> fcnn.out_spec(resize(scale=2, method="bilinear"), images).shape
        (8, 32, 48, 3)

    Args:
        size: The new size, one number for all spatial dimensions or one for each.
        scale: In place of ``size``, what the old one is multiplied by (and rounded down).
        method: ``"nearest"``, ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``.
        antialias: Whether shrinking averages over all the cells that fall into a new one; on
            unless ``align_corners``.
        align_corners: Whether the centres of the first and last cells stay in their places.

    Raises:
        ValueError: not just one of ``size`` and ``scale`` is given, or an option suits no input.
        TypeError: from init and apply, the input is not floating-point and has to be.
    """
    check_method(method, antialias, align_corners)
    if (size is None) == (scale is None):
        raise ValueError(f"give either size or scale, got size={size!r} and scale={scale!r}")
    if size is not None:
        check(size=size)
    elif min(scale if isinstance(scale, tuple | list) else [scale]) <= 0:
        raise ValueError(f"scale must be positive, got {scale!r}")

    def target(x, what):
        if size is not None:
            return size
        sizes = spatial(x, what)
        scales = per_side(scale, len(sizes), "scale", what)
        target = tuple(int(n * s) for n, s in zip(sizes, scales, strict=True))
        if min(target) < 1:
            raise ValueError(f"{what}: scale {scale!r} leaves nothing of the spatial size {sizes}")
        return target

    def resize(x):
        what = here("resize")
        return ops.resize(
            x,
            target(x, what),
            method,
            antialias=antialias,
            align_corners=align_corners,
            what=what,
        )

    return pure(resize)


@layer
def pixel_shuffle(factor: int) -> Layer:
    """Channels become space: ``[n, h, w, c r^2] -> [n, h r, w r, c]`` for a factor ``r``.

    The order is torch's (Shi et al., 2016, arXiv:1609.05158).

    Raises:
        ValueError: the factor is not positive; or, from init and apply, the channels do not divide.
    """
    positive(factor=factor)

    def pixel_shuffle(x):
        return ops.pixel_shuffle(x, factor, what=here("pixel_shuffle"))

    return pure(pixel_shuffle)


@layer
def pixel_unshuffle(factor: int) -> Layer:
    """Space becomes channels, ``[n, h r, w r, c] -> [n, h, w, c r^2]``: undoes ``pixel_shuffle``.

    Raises:
        ValueError: the factor is not positive; or, from init and apply, the sizes do not divide.
    """
    positive(factor=factor)

    def pixel_unshuffle(x):
        return ops.pixel_unshuffle(x, factor, what=here("pixel_unshuffle"))

    return pure(pixel_unshuffle)
