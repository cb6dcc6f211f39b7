"""Where a convolution's kernel lies on its input, as one hashable value."""

from collections.abc import Sequence
from typing import NamedTuple


class Geometry(NamedTuple):
    """Windows on an input, one entry for each spatial dimension.

    The padding ends with the last window, so that ``size + before + after`` is
    ``(count - 1) * stride + reach + 1``: ``before`` is never negative, ``after`` is where cells are
    left over that no window sees.

    Attributes:
        size: Of the input.
        window: Of the kernel.
        stride: From one window to the next.
        dilation: From one neighbour to the next within a window.
        pads: Cells ``(before, after)`` the input.
        count: Of the windows: the size of the output.
        groups: Parts of the channels that do not see each other.
    """

    size: tuple[int, ...]
    window: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    count: tuple[int, ...]
    groups: int = 1

    @property
    def reach(self) -> tuple[int, ...]:
        """From the first to the last cell of a window."""
        return tuple((k - 1) * d for k, d in zip(self.window, self.dilation, strict=True))


def geometry(
    size: Sequence[int],
    window: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    before: Sequence[int],
    count: Sequence[int],
    groups: int = 1,
) -> Geometry:
    """The geometry of ``count`` windows, the first of which begins ``before`` the input."""
    after = (
        (m - 1) * s + (k - 1) * d + 1 - n - b
        for n, k, s, d, b, m in zip(size, window, stride, dilation, before, count, strict=True)
    )
    pads = tuple(zip(before, after, strict=True))
    return Geometry(
        tuple(size), tuple(window), tuple(stride), tuple(dilation), pads, tuple(count), groups
    )
