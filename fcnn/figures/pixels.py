"""Arrays as the colours of pixels, ``[h, w, 3]`` from 0 to 1."""

from typing import Any

import numpy as np

from ..extras import require

_LUMA = np.array([0.299, 0.587, 0.114])  # how bright red, green and blue are (BT.601)
_MOST = 99.5  # percentile of a map that is drawn in full, so that one pixel does not dim the rest


def colours(images: Any) -> np.ndarray:
    """Pictures ``[n, h, w]`` or ``[n, h, w, 1 or 3]`` as colours ``[n, h, w, 3]``.

    Integers go from 0 to their largest value, 255 where they are signed; floats within 0 and 1
    stay as they are. Others, such as normalised ones, are stretched together from the smallest to
    the largest, so that all of them keep one scale.

    Example:
        >>> import numpy as np
        >>> colours(np.full([1, 1, 1], 51, np.uint8)).tolist()
        [[[[0.2, 0.2, 0.2]]]]
        >>> colours(np.array([[[-2.0, 0.0, 2.0]]]))[..., 0].tolist()
        [[[0.0, 0.5, 1.0]]]

    Raises:
        ValueError: the array has another shape.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape[1:]:
        raise ValueError(
            f"pictures must be [n, h, w] or [n, h, w, c] with 1 or 3 channels, got "
            f"{list(images.shape)}; feature_maps draws any number of channels, one by one"
        )
    kind = images.dtype.kind
    white = np.iinfo(images.dtype).max if kind == "u" else 255 if kind == "i" else 1
    values = np.nan_to_num(images.astype(np.float64) / white)
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    if low < 0 or high > 1:
        values = (values - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    return np.broadcast_to(values, (*values.shape[:3], 3))


def gray(pictures: np.ndarray) -> np.ndarray:
    """Colours ``[..., 3]`` as grays of the same brightness."""
    return np.broadcast_to((pictures @ _LUMA)[..., None], pictures.shape)


def scale(values: np.ndarray) -> float:
    """The absolute value from which on a map is drawn in full colour; never 0."""
    size = np.abs(np.asarray(values, np.float64))
    size = size[np.isfinite(size)]
    if not size.any():
        return 1.0
    return float(np.percentile(size, _MOST) or size.max())


def tints(values: np.ndarray, largest: float, *, signed: bool) -> np.ndarray:
    """Numbers ``[...]`` as colours ``[..., 3]``: from black to yellow, or by sign, red and blue.

    Args:
        values: Any numbers.
        largest: The number that is drawn in the last colour.
        signed: Whether 0 is white, what is above it red and what is below it blue.
    """
    maps = require("matplotlib", "plots").colormaps
    values = np.nan_to_num(np.asarray(values, np.float64)) / largest
    if signed:
        return maps["RdBu_r"](0.5 + values / 2)[..., :3]
    return maps["inferno"](values)[..., :3]


def resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Maps ``[n, h, w]`` with other sides, linear between the middles of pixels."""
    for axis, side in ((1, height), (2, width)):
        n = values.shape[axis]
        if n != side:
            at = np.clip((np.arange(side) + 0.5) * n / side - 0.5, 0, n - 1)
            left = np.minimum(at.astype(int), max(n - 2, 0))
            right = np.minimum(left + 1, n - 1)
            part = (at - left).reshape([-1 if i == axis else 1 for i in range(3)])
            values = values.take(left, axis) * (1 - part) + values.take(right, axis) * part
    return values
