"""The inverted residual block of mobile networks, and its names.

Thin between blocks and wide within, where each channel is filtered on its own (Sandler et al.,
2018, arXiv:1801.04381).
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..core import Layer, wire
from ..layers import batch_norm, conv, depthwise_conv, drop_path, relu6

NORM = batch_norm()  # a layer is a value, which may stand in many places


def divisible(features: float, by: int = 8) -> int:
    """The multiple of ``by`` nearest to a scaled width, which loses no more than a tenth of it.

    >>> divisible(32 * 0.75), divisible(24 * 0.35)
    (24, 8)
    """
    near = max(by, int(features + by / 2) // by * by)
    return near if near >= 0.9 * features else near + by


def inverted_block(
    inside: int,
    wide: int,
    features: int,
    stride: int = 1,
    *,
    kernel: int = 3,
    activation: Callable = relu6,
    squeeze: Layer | None = None,
    norm: Layer = NORM,
    drop_path_rate: float = 0.0,
) -> Layer:
    """1x1 up to ``wide`` channels, depthwise, 1x1 down; no activation last.

    ``[n, h, w, inside] -> [n, ceil(h / stride), ceil(w / stride), features]``, with a skip where
    the shape stays. If ``wide`` is ``inside``, the first convolution is left out. What
    ``squeeze`` is, if anything, follows the depthwise convolution.
    """
    skips = stride == 1 and inside == features

    def forward(f, x):
        y = activation(f.bn1(f.conv1(x))) if wide != inside else x
        y = activation(f.bn2(f.conv2(y)))
        y = f.bn3(f.conv3(f.se(y) if squeeze else y))
        if not skips:
            return y
        return x + (f.drop(y) if drop_path_rate else y)

    children: dict[str, Any] = {}
    if wide != inside:
        children |= {"conv1": conv(wide, 1, bias=False), "bn1": norm}
    children["conv2"] = depthwise_conv(kernel, stride, padding=kernel // 2, bias=False)
    children["bn2"] = norm
    if squeeze:
        children["se"] = squeeze
    children |= {"conv3": conv(features, 1, bias=False), "bn3": norm}
    if skips and drop_path_rate:
        children["drop"] = drop_path(drop_path_rate)
    return wire(forward, **children)


BLOCK = r"stage(\d)/block(\d+)/"  # the paths of the blocks in all these families


def counted(depths: Sequence[int], match: re.Match[str]) -> int:
    """The place of a block among all, from 0, where the stages have so many."""
    return sum(depths[: int(match[1]) - 1]) + int(match[2]) - 1


def listed(first: int, squeezed: int) -> Callable[[re.Match[str]], str]:
    """Names within a block that is a list in torchvision, from its ``first`` convolution on and
    with ``squeezed``, 1 or 0, entries before the last.
    """

    def name(match):
        if match["se"]:
            return f"block.{3 - first}.fc{1 + (match['se'] == 'expand')}"
        place = int(match["place"])
        return f"block.{place - first + squeezed * (place == 3)}.{match['kind'] == 'bn':d}"

    return name


INSIDE = r"(?:(?P<kind>conv|bn)(?P<place>\d)|se/(?P<se>reduce|expand))"
SQUEEZED = r".*/se/(reduce|expand)/kernel"


def timm_name(match: re.Match[str]) -> str:
    """Of a block in timm's ``mobilenetv2_100`` and ``efficientnet_b0``."""
    block = f"blocks.{int(match[1]) - 1}.{int(match[2]) - 1}."
    if match["se"]:
        return f"{block}se.conv_{match['se']}"
    first, place = 2 if match[1] == "1" else 1, int(match["place"])
    if match["kind"] == "bn":
        return f"{block}bn{place - first + 1}"
    last = "pw" if first == 2 else "pwl"
    return f"{block}conv_{('pw', 'dw', last)[place - 1]}"


TIMM = [
    ("conv1", "conv_stem"), ("bn1", "bn1"), (BLOCK + INSIDE, timm_name),
    ("conv2", "conv_head"), ("bn2", "bn2"), ("head", "classifier"),
]  # fmt: skip
