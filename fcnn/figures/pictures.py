"""Pictures side by side: of data, of mistakes, and of what is inside a network."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .pixels import colours, scale, tints
from .tiles import columns_for, draw_tiles


def sheet(images: Any, titles: Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """Pictures side by side, each below its title.

    Example:
        >>> x, y = test[:16]  # doctest: +SKIP
        >>> sheet(x, [test.classes[label] for label in y])  # doctest: +SKIP

    Args:
        images: ``[n, h, w]`` or ``[n, h, w, c]`` with 1 or 3 channels: integers, floats from 0 to
            1, or others, which are stretched together.
        titles: One for each; None draws none.
        ax: Where to draw; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        ValueError: the pictures have another shape, there are none, or not as many titles.
    """
    if np.ndim(images) == 3 and np.shape(images)[-1] in (1, 3):
        raise ValueError(
            f"pictures must be [n, h, w] or [n, h, w, c], and {list(np.shape(images))} looks like "
            "one [h, w, c]; write x[None]"
        )
    pictures = colours(images)
    if not len(pictures):
        raise ValueError("nothing to show: there are no pictures")
    return draw_tiles(
        pictures, checked_titles(titles, len(pictures)), columns_for(len(pictures)), ax=ax
    )


def mistakes(x: Any, report: Any, top: int = 16, *, ax: Any = None) -> Any:
    """The worst mistakes: those pictures whose wrong class was held most probable.

    Example:
        >>> mistakes(test, fcnn.evaluate(network, test))  # doctest: +SKIP

    Args:
        x: The inputs that were evaluated, in their order, or their dataset; of files that were
            skipped, ``fcnn.data.readable`` of it.
        report: What ``evaluate`` found, of classes.
        top: How many at most.
        ax: Where to draw; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        ValueError: the inputs are no pictures, or fewer than were evaluated; or the report has no
            probabilities.
    """
    _check_top(top)
    worst = report.mistakes(top)
    last = report.index.max()
    if last >= len(x):
        raise ValueError(f"x has {len(x)} examples, but example {last} was evaluated")
    if not worst:
        return draw_tiles([np.ones([1, 1, 3])], [f"no mistake\nin {report.n:,}"], 1, ax=ax)
    found = x[np.array([row.index for row in worst])]
    images = found[0] if isinstance(found, tuple) else found
    titles = [f"{row.probability:.0%} {row.prediction}\nis {row.truth}" for row in worst]
    return draw_tiles(colours(images), titles, columns_for(len(worst)), ax=ax)


def feature_maps(maps: Any, *, top: int = 64, ax: Any = None) -> Any:
    """What each channel of a layer sees in one picture, all on one scale.

    Black is 0 and yellow the largest value; where some are negative, blue is below and red above 0.

    Example:
        >>> maps = fcnn.explain.feature_maps(network, x[:1], "conv2")  # doctest: +SKIP
        >>> feature_maps(maps[0])  # doctest: +SKIP

    Args:
        maps: The output of the layer, ``[h, w, c]``.
        top: How many channels at most, the first ones.
        ax: Where to draw; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        ValueError: the maps have another shape, or ``top`` is less than 1.
    """
    maps = np.asarray(maps, np.float32)
    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(
            f"maps of one picture are [h, w, c], got {list(maps.shape)}; of a batch give maps[0]"
        )
    _check_top(top)
    signed = bool((maps < 0).any())
    channels, dead = maps.shape[-1], int((maps == 0).all((0, 1)).sum())
    shown, largest = np.moveaxis(maps, -1, 0)[:top], scale(maps)
    head = (
        f"{len(shown)} of {channels} channels" if len(shown) < channels else f"{channels} channels"
    )
    head += f", {'±' if signed else '0 to '}{largest:.3g}"
    head += f", {dead} of them 0 everywhere" if dead else ""
    columns = columns_for(len(shown), 16 if len(shown) > 16 else 8)
    return draw_tiles(tints(shown, largest, signed=signed), None, columns, head=head, ax=ax)


def filters(kernels: Any, *, top: int | None = None, ax: Any = None) -> Any:
    """The filters of a convolution: in colour where they look at RGB, else a tile for each input.

    Colours of RGB filters are their weights around gray, which is 0. Otherwise red weights are
    above 0 and blue below, and a row of tiles is a filter.

    Example:
        >>> filters(fcnn.explain.filters(network, "conv1"))  # doctest: +SKIP

    Args:
        kernels: One filter after another, ``[n, h, w, c]``.
        top: How many filters at most, the first ones; None means 64, or 16 where each is a row, of
            16 inputs at most.
        ax: Where to draw; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        ValueError: they have another shape, or ``top`` is less than 1.
    """
    kernels = np.asarray(kernels, np.float32)
    if kernels.ndim != 4 or 0 in kernels.shape:
        raise ValueError(f"filters are [n, h, w, c], got {list(kernels.shape)}")
    outputs, inputs = len(kernels), kernels.shape[-1]
    top = (64 if inputs in (1, 3) else 16) if top is None else top
    _check_top(top)
    shown, largest = kernels[:top], scale(kernels)
    n = len(shown)
    head = f"{n} of {outputs} filters" if n < outputs else f"{n} filters"
    head += f", ±{largest:.3g}"
    if inputs == 3:
        pictures, columns = np.clip(0.5 + shown / largest / 2, 0, 1), columns_for(n)
    elif inputs == 1:
        pictures, columns = tints(shown[..., 0], largest, signed=True), columns_for(n)
    else:
        columns = min(inputs, 16)
        head += f"; in a row, {columns} of {inputs} inputs" if columns < inputs else ""
        pictures = tints(np.moveaxis(shown, -1, 1)[:, :columns], largest, signed=True)
        pictures = pictures.reshape(-1, *pictures.shape[2:])
    return draw_tiles(pictures, None, columns, head=head, gap=0.25, frame=True, ax=ax)


def _check_top(top: int) -> None:
    if top < 1:
        raise ValueError(f"top must be a whole number from 1 on, got {top!r}")


def checked_titles(titles: Sequence[str] | None, n: int) -> list[str] | None:
    """The titles as strings.

    Raises:
        ValueError: there are not as many as pictures.
    """
    if titles is None:
        return None
    titles = [str(title) for title in titles]
    if len(titles) != n:
        raise ValueError(f"{n} pictures need as many titles, got {len(titles)}")
    return titles
