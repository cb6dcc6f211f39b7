"""Networks that say of each pixel what it belongs to.

Images ``[n, h, w, c]`` to logits ``[n, h, w, classes]``.
"""

import re

import jax.numpy as jnp

from ..core import Layer, describe, serial, wire
from ..layers import batch_norm, conv, conv_transpose, max_pool, relu
from .dialects import Dialect, speaks
from .registry import image_model


def double_conv(features: int, norm: bool = False) -> Layer:
    """Two 3x3 convolutions, each with relu, and batch norm before it if there is a ``norm``."""
    if norm:
        return serial(
            conv1=conv(features, 3, padding=1, bias=False), bn1=batch_norm(), relu1=relu,
            conv2=conv(features, 3, padding=1, bias=False), bn2=batch_norm(), relu2=relu,
        )  # fmt: skip
    return serial(
        conv1=conv(features, 3, padding=1), relu1=relu,
        conv2=conv(features, 3, padding=1), relu2=relu,
    )  # fmt: skip


@image_model
def unet(*, classes: int = 2, width: int = 64, depth: int = 4, norm: bool = False) -> Layer:
    """U-Net (Ronneberger et al., 2015, arXiv:1505.04597): down to small maps that see much, and up
    again beside what was seen on the way: ``[n, h, w, c] -> [n, h, w, classes]``.

    31,030,658 parameters for gray pictures. Padding keeps the size, where the paper loses a margin.

    Example:
        >>> import fcnn, jax
        >>> model = fcnn.models.unet(classes=3, width=8)
        >>> fcnn.out_spec(model, jax.ShapeDtypeStruct((1, 64, 96, 3), "float32")).shape
        (1, 64, 96, 3)

    Args:
        classes: 0 for the ``width`` features of each pixel.
        width: The features of the first stage; each stage below has twice as many.
        depth: How often the size is halved: height and width are multiples of ``2**depth``.
        norm: Batch norm after each 3x3 convolution, in place of its bias, as is usual now.

    Raises:
        ValueError: an option is out of range; or, from init and apply, a side is no such multiple.
    """
    if depth < 1:
        raise ValueError(f"depth must be 1 or more, got {depth!r}")
    levels = range(1, depth + 1)

    def forward(f, x):
        if any(side % 2**depth for side in x.shape[1:3]):
            raise ValueError(
                f"unet halves height and width {depth} times and needs multiples of {2**depth}, "
                f"got {describe(x)}; resize or pad the images, or take a smaller depth"
            )
        passed = []
        for i in levels:
            passed.append(getattr(f, f"down{i}")(x))
            x = f.pool(passed[-1])
        x = f.bottom(x)
        for i in reversed(levels):
            x = getattr(f, f"up{i}")(x)
            x = getattr(f, f"join{i}")(jnp.concatenate([passed.pop(), x], -1))
        return f.head(x) if classes else x

    return wire(
        forward,
        **{f"down{i}": double_conv(width * 2 ** (i - 1), norm) for i in levels},
        pool=max_pool(2),
        bottom=double_conv(width * 2**depth, norm),
        **{f"up{i}": conv_transpose(width * 2 ** (i - 1), 2, 2) for i in levels},
        **{f"join{i}": double_conv(width * 2 ** (i - 1), norm) for i in levels},
        **({"head": conv(classes, 1)} if classes else {}),
    )


def _milesial() -> Dialect:
    """The names of github.com/milesial/Pytorch-UNet, whose depth is four."""
    place = {"conv1": 0, "bn1": 1, "conv2": 3, "bn2": 4}

    def down(match: re.Match[str]) -> str:
        level = {"bottom": 5}.get(match[1]) or int(match[1][4:])
        stage = f"down{level - 1}.maxpool_conv.1" if level > 1 else "inc"
        return f"{stage}.double_conv.{place[match[2]]}"

    return Dialect([
        (r"(down\d|bottom)/(\w+)", down),
        (r"up(\d)", lambda match: f"up{5 - int(match[1])}.up"),
        (
            r"join(\d)/(\w+)",
            lambda match: f"up{5 - int(match[1])}.conv.double_conv.{place[match[2]]}",
        ),
        ("head", "outc.conv"),
    ])  # fmt: skip


speaks(["unet"], _milesial())
