"""Maps of evidence laid over the pictures that they explain."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .axes import BLUE, ORANGE
from .pictures import checked_titles
from .pixels import colours, gray, resized, scale
from .tiles import columns_for, draw_tiles

_DEPTH = 0.85  # how much of the strongest colour covers the picture
_BLACK, _WHITE = 0.3, 0.9  # of the picture below it, in which colours show on either


def overlay(image: Any, heat: Any, title: str | None = None, *, ax: Any = None) -> Any:
    """A picture with the evidence for an output in orange, and against it in blue.

    The deeper the colour, the more evidence; a map's strongest pixels have it in full, whatever
    their values are.

    Example:
        >>> heat = fcnn.explain.grad_cam(network, x)  # doctest: +SKIP
        >>> overlay(x[0], heat[0])  # doctest: +SKIP

    Args:
        image: ``[h, w]`` or ``[h, w, c]`` with 1 or 3 channels.
        heat: Its map ``[h', w']``, which is resized to the picture.
        title: What stands above.
        ax: Where to draw; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        ValueError: the picture or the map has another shape.
    """
    heat = np.asarray(heat)
    if heat.ndim != 2:
        raise ValueError(
            f"the map of one picture is [h, w], got {list(heat.shape)}; write heat[0]?"
        )
    (covered,) = _covered(colours(np.asarray(image)[None]), heat[None])
    return draw_tiles([covered], None if title is None else [title], 1, ax=ax)


def overlays(images: Any, maps: Any, titles: Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """Pictures with their maps laid over them, as in ``overlay``.

    Example:
        >>> methods = "grad_cam", "saliency"  # doctest: +SKIP
        >>> maps = {name: getattr(fcnn.explain, name)(network, x) for name in methods}
        ... # doctest: +SKIP
        >>> overlays(x, maps)  # doctest: +SKIP

    Args:
        images: ``[n, h, w]`` or ``[n, h, w, c]`` with 1 or 3 channels.
        maps: ``[n, h', w']``, which gives one picture for each; or such by name, as those of
            several methods, which gives a row for each picture: as it is, and with each map.
        titles: One for each picture.
        ax: Where to draw; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        ValueError: a shape does not fit, or there are no pictures.
    """
    pictures = colours(images)
    n = len(pictures)
    if not n:
        raise ValueError("nothing to show: there are no pictures")
    titles = checked_titles(titles, n)
    if not isinstance(maps, Mapping):
        return draw_tiles(_covered(pictures, maps), titles, columns_for(n), ax=ax)
    covered = [_covered(pictures, heat) for heat in maps.values()]
    rows = [tile for row in zip(pictures, *covered, strict=True) for tile in row]
    above = np.full((n, 1 + len(maps)), "", object)
    above[0, 1:] = list(maps)
    above[:, 0] = titles or ""
    return draw_tiles(rows, above.ravel().tolist(), 1 + len(maps), ax=ax)


def _covered(pictures: np.ndarray, maps: Any) -> np.ndarray:
    """Colours ``[n, h, w, 3]`` in gray below those of the maps ``[n, h', w']``."""
    maps = np.nan_to_num(np.asarray(maps, np.float64))
    if maps.ndim != 3 or len(maps) != len(pictures):
        raise ValueError(f"{len(pictures)} pictures need maps [n, h, w], got {list(maps.shape)}")
    largest = np.array([scale(heat) for heat in maps])[:, None, None]
    strength = resized(np.clip(maps / largest, -1, 1), *pictures.shape[1:3])[..., None]
    inks = np.where(strength > 0, _rgb(ORANGE), _rgb(BLUE))
    cover = _DEPTH * np.abs(strength)
    faded = _BLACK + (_WHITE - _BLACK) * gray(pictures)
    return (1 - cover) * faded + cover * inks


def _rgb(name: str) -> np.ndarray:
    """A colour such as "#ff0000" as three numbers."""
    return np.array([int(name[i : i + 2], 16) for i in (1, 3, 5)]) / 255
