"""Where windows lie on an input: padding and sizes, one arithmetic for every operation.

An option such as ``stride`` is one number for all spatial dimensions, or one for each. ``padding``
is ``"same"`` (as many windows as ``stride`` divides the input into, rounded up; an odd cell of
padding goes to the end), ``"valid"`` (none), or numbers: one for all sides, or for each dimension
one for both its sides or a pair ``(before, after)``.
"""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Sides = int | Sequence[int]
Padding = str | int | Sequence[int | tuple[int, int]]

_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


class Windows(NamedTuple):
    """Windows on an input, one entry for each spatial dimension; ``count`` is the output's size."""

    window: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    count: tuple[int, ...]


def place(
    size: Sequence[int],
    window: Sides,
    stride: Sides = 1,
    padding: Padding = "valid",
    *,
    dilation: Sides = 1,
    ceil: bool = False,
    what: str = "window",
    noun: str = "window",
) -> Windows:
    """Lays windows on an input of these spatial sizes.

    >>> place((7, 7), 3, 2, "same").count
    (4, 4)

    Args:
        dilation: The distance between neighbours within a window.
        ceil: Whether cells left over at the end get a window, which begins inside the input.
        what: Who asks, for the text of errors: the path of a layer.
        noun: What it calls its window.

    Raises:
        ValueError: no window fits, or an option has the wrong number of entries.
    """
    check(**{noun: window}, stride=stride, dilation=dilation, padding=padding)
    rank = len(size)
    window, stride, dilation = (
        per_side(option, rank, name, what)
        for option, name in ((window, noun), (stride, "stride"), (dilation, "dilation"))
    )
    span = tuple(d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True))
    sides = (None,) * rank if padding == "same" else pairs(padding, rank, what)
    along = [_along(*side, ceil) for side in zip(size, span, stride, sides, strict=True)]
    pads, count = zip(*along, strict=True)
    advice = f"use padding='same', a smaller {noun}, or less pooling before it"
    refuse_empty(count, size, window, dilation, padding, f"{what}: {noun}", advice)
    return Windows(window, stride, dilation, pads, count)


def refuse_empty(
    count: Sequence[int],
    size: Sequence[int],
    window: Sequence[int],
    dilation: Sequence[int],
    padding: Padding,
    what: str,
    advice: str,
) -> None:
    """Refuses an empty output, which further on would only turn into NaN.

    Raises:
        ValueError: ``count``, the output's size, or ``size``, the input's, has no cells.
    """
    if min((*count, *size)) < 1:
        dilated = f" with dilation {_times(dilation)}" if max(dilation) > 1 else ""
        raise ValueError(
            f"{what} {_times(window)}{dilated} does not fit its input {_times(size)} "
            f"with padding {padding!r}; {advice}"
        )


def per_side(option: Sides, rank: int, name: str, what: str) -> tuple[int, ...]:
    """One number for each spatial dimension."""
    sides = (option,) * rank if not isinstance(option, Sequence) else tuple(option)
    if len(sides) != rank:
        raise ValueError(
            f"{what}: {name} {option!r} has {len(sides)} entries "
            f"and the input {rank} spatial dimension{'s' * (rank > 1)}"
        )
    return sides


def pairs(
    padding: Padding, rank: int, what: str, name: str = "padding"
) -> tuple[tuple[int, int], ...]:
    """Padding before and after each spatial dimension; ``"same"`` depends on more than this."""
    if padding == "valid":
        padding = 0
    return tuple(
        tuple(side) if isinstance(side, Sequence) else (side, side)
        for side in per_side(padding, rank, name, what)
    )


def pad(x: jax.Array, pads: Sequence[tuple[int, int]], mode: str = "zeros") -> jax.Array:
    """``[n, ..., c]`` with cells around its spatial dimensions.

    Modes are torch's: ``"zeros"``, ``"reflect"`` (the border cell is not repeated),
    ``"replicate"`` (it is), ``"circular"`` (as on a torus).
    """
    check(padding_mode=mode)
    return jnp.pad(x, ((0, 0), *pads, (0, 0)), _MODES[mode])


def spatial(x: Any, what: str) -> tuple[int, ...]:
    """The spatial sizes of ``[n, ..., c]``.

    Raises:
        ValueError: there is not one to three of them.
    """
    if not 3 <= x.ndim <= 5:
        raise ValueError(
            f"{what} needs an input [n, ..., c] with one to three spatial dimensions, "
            f"such as [n, h, w, c], and got {describe(x)}"
        )
    return tuple(x.shape[1:-1])


def floating(x: Any, what: str) -> None:
    """Refuses what is not a floating-point array.

    Raises:
        TypeError: for integers and booleans; weights cast to them would round to zero.
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"{what} computes in floating point and got {describe(x)}; "
            "put rescale(1 / 255) or cast('float32') before it"
        )


def wide(x: jax.Array) -> jax.Array:
    """The same numbers in float32 at least, in which sums are computed."""
    return x.astype(jnp.float32) if jnp.finfo(x.dtype).bits < 32 else x


def positive(**numbers: int) -> None:
    """Refuses what is not a positive integer.

    Raises:
        ValueError: the first such number is in the text.
    """
    for name, number in numbers.items():
        if isinstance(number, Sequence) or not _integers(number, least=1):
            raise ValueError(f"{name} must be a positive integer, got {number!r}")


def check(*, padding: Padding = 0, padding_mode: str = "zeros", **sides: Sides) -> None:
    """Refuses options that suit no input.

    Raises:
        ValueError: one of ``sides`` is not a positive integer nor a sequence of them, or the
            padding is unknown or negative.
    """
    for name, option in sides.items():
        if not _integers(option, least=1):
            raise ValueError(
                f"{name} must be a positive integer, or one for each spatial dimension, "
                f"got {option!r}"
            )
    if padding not in ("same", "valid") and not _is_padding(padding):
        raise ValueError(
            "padding must be 'same', 'valid', a number, or for each spatial dimension a number or "
            f"a pair (before, after), none negative; got {padding!r}"
        )
    if padding_mode not in _MODES:
        raise ValueError(f"padding_mode must be one of {', '.join(_MODES)}, got {padding_mode!r}")


def describe(x: Any) -> str:
    """Dtype and shape, as in ``float32[8,32,32,3]``."""
    return f"{x.dtype.name}[{','.join(map(str, x.shape))}]"


def _integers(option: Any, least: int) -> bool:
    entries = option if isinstance(option, Sequence) and not isinstance(option, str) else [option]
    return len(entries) > 0 and all(
        isinstance(entry, Integral) and not isinstance(entry, bool) and entry >= least
        for entry in entries
    )


def _is_padding(padding: Any) -> bool:
    if isinstance(padding, str):
        return False
    return all(
        _integers(side, least=0) and not (isinstance(side, Sequence) and len(side) != 2)
        for side in (padding if isinstance(padding, Sequence) else [padding])
    )


def _along(n, k, s, sides, ceil):
    """Padding and number of windows along one dimension; ``sides`` is None for ``"same"``."""
    if sides is None:
        m = -(-n // s)
        total = max((m - 1) * s + k - n, 0)
        return (total // 2, total - total // 2), m
    before, after = sides
    room = n + before + after - k
    if not ceil:
        return sides, room // s + 1
    m = min(-(-room // s), (n + before - 1) // s) + 1
    return (before, max(after, (m - 1) * s + k - n - before)), m


def _times(sides: Sequence[int]) -> str:
    """3x3, or for a single dimension 3."""
    return "x".join(map(str, sides))
