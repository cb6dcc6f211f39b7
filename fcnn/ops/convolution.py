"""Convolutions of images ``[n, h, w, c]``, and of sequences and volumes by the same rules."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from . import native, trilinear
from .geometry import geometry
from .lowerings import is_native
from .windows import (
    Padding,
    Sides,
    check,
    floating,
    pad,
    pairs,
    per_side,
    place,
    refuse_empty,
    spatial,
)


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: Sides = 1,
    padding: Padding = "same",
    padding_mode: str = "zeros",
    dilation: Sides = 1,
    groups: int = 1,
    what: str = "conv",
) -> jax.Array:
    """Slides a kernel over its input: ``[n, h, w, c] -> [n, h', w', features]``.

    This is the correlation of machine learning: the kernel is not flipped.

    Args:
        kernel: ``[*window, c / groups, features]``.
        stride: The step from one window to the next.
        padding: ``"same"``, ``"valid"``, numbers or pairs; see ``ops.windows``.
        padding_mode: What the padding holds: ``"zeros"``, or the input once more by
            ``"reflect"``, ``"replicate"`` or ``"circular"``.
        dilation: The distance between neighbours within a window.
        groups: Parts of the channels that do not see each other; the first ``features / groups``
            features come from the first ``c / groups`` channels.
        what: Who asks, for the text of errors.

    Raises:
        ValueError: the window does not fit, or the channels do not agree.
        TypeError: ``x`` is not floating-point.
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    floating(x, what)
    size = spatial(x, what)
    _check_rank(kernel, len(size), what)
    check_groups(kernel.shape[-1], groups, "features", what)
    _check_channels(x, kernel.shape[-2] * groups, groups, what)
    at = place(
        size, kernel.shape[:-2], stride, padding, dilation=dilation, what=what, noun="kernel"
    )
    pads = at.pads
    if padding_mode != "zeros":
        x, pads = pad(x, pads, padding_mode), [(0, 0)] * len(size)
    before = [before for before, _ in pads]
    where = geometry(x.shape[1:-1], at.window, at.stride, at.dilation, before, at.count, groups)
    run = native.output if is_native() else trilinear.output
    return run(x, kernel, where)


def conv_transpose(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: Sides = 1,
    padding: Padding = "same",
    output_padding: Sides = 0,
    dilation: Sides = 1,
    groups: int = 1,
    what: str = "conv_transpose",
) -> jax.Array:
    """The transpose of ``conv``: ``[n, h, w, c] -> [n, h', w', features]``.

    It is the gradient of ``conv(y, kernel, ...)``, from ``features`` channels to ``c``, with
    respect to ``y``: each cell of ``x`` adds its multiple of the kernel to the output. The kernel
    is that of the convolution and is not flipped. torch's ``ConvTranspose2d`` holds the same
    numbers as ``[c, features / groups, h, w]``, Keras' ``Conv2DTranspose`` in this very order.

    ``padding="same"`` gives ``n * stride`` cells; otherwise, as in torch, there are
    ``(n - 1) * stride - before - after + dilation * (k - 1) + 1 + output_padding``.

    Args:
        kernel: ``[*window, features / groups, c]``.
        stride: The step in the output from one cell of ``x`` to the next.
        padding: What the convolution pads its input by: here it is cut off.
        output_padding: Cells more at the end of the output, which a strided convolution loses.
        dilation: The distance between neighbours within a window.
        groups: Parts of the channels that do not see each other.
        what: Who asks, for the text of errors.

    Raises:
        ValueError: nothing would be left, or the channels do not agree.
        TypeError: ``x`` is not floating-point.
    """
    check(stride=stride, dilation=dilation, padding=padding)
    check_output_padding(output_padding, padding)
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    floating(x, what)
    size = spatial(x, what)
    rank = len(size)
    _check_rank(kernel, rank, what)
    _check_channels(x, kernel.shape[-1], groups, what)
    stride, dilation, extra = (
        per_side(option, rank, name, what)
        for option, name in (
            (stride, "stride"),
            (dilation, "dilation"),
            (output_padding, "output_padding"),
        )
    )
    span = [d * (k - 1) + 1 for k, d in zip(kernel.shape[:-2], dilation, strict=True)]
    if padding == "same":
        out = [n * s for n, s in zip(size, stride, strict=True)]
        before = [max(k - s, 0) // 2 for k, s in zip(span, stride, strict=True)]
    else:
        cut = pairs(padding, rank, what)
        before = [p for p, _ in cut]
        out = [
            (n - 1) * s - sum(p) + k + e
            for n, s, p, k, e in zip(size, stride, cut, span, extra, strict=True)
        ]
    advice = "use padding='same', smaller numbers, or a larger kernel"
    refuse_empty(out, size, kernel.shape[:-2], dilation, padding, f"{what}: kernel", advice)
    where = geometry(out, kernel.shape[:-2], stride, dilation, before, size, groups)
    run = native.input_gradient if is_native() else trilinear.input_gradient
    return run(x, kernel, where)


def check_groups(number: int, groups: int, noun: str, what: str) -> None:
    """Refuses channels or features that do not divide into groups.

    Raises:
        ValueError: both numbers are in the text.
    """
    if number % groups:
        raise ValueError(f"{what}: {number} {noun} do not divide into {groups} groups")


def check_output_padding(output_padding: Sides, padding: Padding) -> None:
    """Refuses what ``conv_transpose`` could not add.

    Raises:
        ValueError: it is negative, or the size of the output is known already.
    """
    sides = output_padding if isinstance(output_padding, Sequence) else [output_padding]
    if min(sides) < 0:
        raise ValueError(f"output_padding must not be negative, got {output_padding!r}")
    if max(sides) and padding == "same":
        raise ValueError(
            "padding='same' gives n * stride cells and leaves nothing to output_padding; "
            "use numbers for padding"
        )


def _check_rank(kernel, rank, what):
    if kernel.ndim != rank + 2:
        raise ValueError(
            f"{what}: a kernel for {rank} spatial dimension{'s' * (rank > 1)} has {rank + 2} axes, "
            f"[*window, in, out], got the shape {kernel.shape}"
        )


def _check_channels(x, channels, groups, what):
    check_groups(x.shape[-1], groups, "channels", what)
    if x.shape[-1] != channels:
        raise ValueError(
            f"{what}: the kernel is made for {channels} channels and x has {x.shape[-1]}"
        )
