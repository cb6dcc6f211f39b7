"""EfficientNet and EfficientNetV2: inverted residuals, of which depth, width and size of the
images grow together.

Images ``[n, h, w, c]`` to logits ``[n, classes]``. Padding, stride and the ``eps`` of the norms
stand as in torchvision, so that its weights fit.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..core import Layer, serial, wire
from ..layers import batch_norm, conv, drop_path, silu, squeeze_excite
from .dialects import Dialect, speaks
from .heads import pooled_head
from .inverted import BLOCK, INSIDE, NORM, SQUEEZED, TIMM, divisible, inverted_block, listed
from .registry import image_model


class Stage(NamedTuple):
    """Blocks in a row, of which the first has the stride and ``inside`` channels as input."""

    expansion: int
    kernel: int
    stride: int
    inside: int
    features: int
    blocks: int
    fused: bool = False


_B0 = (  # table 1 of the first paper
    Stage(1, 3, 1, 32, 16, 1), Stage(6, 3, 2, 16, 24, 2), Stage(6, 5, 2, 24, 40, 2),
    Stage(6, 3, 2, 40, 80, 3), Stage(6, 5, 1, 80, 112, 3), Stage(6, 5, 2, 112, 192, 4),
    Stage(6, 3, 1, 192, 320, 1),
)  # fmt: skip
_V2_S = (  # table 4 of the second
    Stage(1, 3, 1, 24, 24, 2, True), Stage(4, 3, 2, 24, 48, 4, True),
    Stage(4, 3, 2, 48, 64, 4, True), Stage(4, 3, 2, 64, 128, 6),
    Stage(6, 3, 1, 128, 160, 9), Stage(6, 3, 2, 160, 256, 15),
)  # fmt: skip
_V2_M = (
    Stage(1, 3, 1, 24, 24, 3, True), Stage(4, 3, 2, 24, 48, 5, True),
    Stage(4, 3, 2, 48, 80, 5, True), Stage(4, 3, 2, 80, 160, 7),
    Stage(6, 3, 1, 160, 176, 14), Stage(6, 3, 2, 176, 304, 18), Stage(6, 3, 1, 304, 512, 5),
)  # fmt: skip
_V2_L = (
    Stage(1, 3, 1, 32, 32, 4, True), Stage(4, 3, 2, 32, 64, 7, True),
    Stage(4, 3, 2, 64, 96, 7, True), Stage(4, 3, 2, 96, 192, 10),
    Stage(6, 3, 1, 192, 224, 19), Stage(6, 3, 2, 224, 384, 25), Stage(6, 3, 1, 384, 640, 7),
)  # fmt: skip


def fused_block(
    inside: int,
    wide: int,
    features: int,
    stride: int = 1,
    *,
    kernel: int = 3,
    norm: Layer = NORM,
    drop_path_rate: float = 0.0,
) -> Layer:
    """A convolution up to ``wide`` channels and 1x1 down, or just one convolution if ``wide`` is
    ``inside``; with a skip where the shape stays.
    """
    skips = stride == 1 and inside == features
    single = wide == inside

    def forward(f, x):
        y = silu(f.bn1(f.conv1(x)))
        y = y if single else f.bn2(f.conv2(y))
        if not skips:
            return y
        return x + (f.drop(y) if drop_path_rate else y)

    first = conv(features if single else wide, kernel, stride, padding=kernel // 2, bias=False)
    second = {} if single else {"conv2": conv(features, 1, bias=False), "bn2": norm}
    drop = {"drop": drop_path(drop_path_rate)} if skips and drop_path_rate else {}
    return wire(forward, conv1=first, bn1=norm, **second, **drop)


def _block(row: Stage, inside: int, stride: int, norm: Layer, drop: float) -> Layer:
    wide = divisible(inside * row.expansion)
    options = {"kernel": row.kernel, "norm": norm, "drop_path_rate": drop}
    if row.fused:
        return fused_block(inside, wide, row.features, stride, **options)
    squeeze = squeeze_excite(features=max(1, inside // 4), activation=silu)
    return inverted_block(
        inside, wide, row.features, stride, activation=silu, squeeze=squeeze, **options
    )


def _efficientnet(
    table: Sequence[Stage],
    last: int,
    norm: Layer,
    classes: int,
    rate: float,
    drop_path_rate: float,
) -> Layer:
    stages, total, number = {}, sum(row.blocks for row in table), 0
    for i, row in enumerate(table, start=1):
        parts, inside, stride = {}, row.inside, row.stride
        for j in range(1, row.blocks + 1):
            parts[f"block{j}"] = _block(row, inside, stride, norm, drop_path_rate * number / total)
            inside, stride, number = row.features, 1, number + 1
        stages[f"stage{i}"] = serial(**parts)
    return serial(
        conv1=conv(table[0].inside, 3, 2, padding=1, bias=False), bn1=norm, act1=silu,
        **stages,
        conv2=conv(last, 1, bias=False), bn2=norm, act2=silu,
        **pooled_head(classes, rate),
    )  # fmt: skip


_TENSORFLOW_NORM = batch_norm(0.99, 1e-3)
_V2_NORM = batch_norm(0.9, 1e-3)


def _scaled(width: float, depth: float, norm: Layer, *options: float) -> Layer:
    """B0 with other widths and depths."""
    table = [
        row._replace(
            inside=divisible(row.inside * width),
            features=divisible(row.features * width),
            blocks=math.ceil(row.blocks * depth),
        )
        for row in _B0
    ]
    return _efficientnet(table, 4 * table[-1].features, norm, *options)


@image_model
def efficientnet_b0(
    *, classes: int = 1000, rate: float = 0.2, drop_path_rate: float = 0.2
) -> Layer:
    """EfficientNet-B0 (Tan and Le, 2019, arXiv:1905.11946), for 224x224: 5,288,548 parameters.

    Args:
        classes: How many logits there are; with 0 it ends in the features before them.
        rate: Of the dropout before the head.
        drop_path_rate: Of skipping a block in training, at the last; before it less, in proportion.
    """
    return _scaled(1.0, 1.0, NORM, classes, rate, drop_path_rate)


@image_model
def efficientnet_b1(
    *, classes: int = 1000, rate: float = 0.2, drop_path_rate: float = 0.2
) -> Layer:
    """EfficientNet-B1, for 240x240: 7,794,184 parameters."""
    return _scaled(1.0, 1.1, NORM, classes, rate, drop_path_rate)


@image_model
def efficientnet_b2(
    *, classes: int = 1000, rate: float = 0.3, drop_path_rate: float = 0.2
) -> Layer:
    """EfficientNet-B2, for 288x288: 9,109,994 parameters."""
    return _scaled(1.1, 1.2, NORM, classes, rate, drop_path_rate)


@image_model
def efficientnet_b3(
    *, classes: int = 1000, rate: float = 0.3, drop_path_rate: float = 0.2
) -> Layer:
    """EfficientNet-B3, for 300x300: 12,233,232 parameters."""
    return _scaled(1.2, 1.4, NORM, classes, rate, drop_path_rate)


@image_model
def efficientnet_b4(
    *, classes: int = 1000, rate: float = 0.4, drop_path_rate: float = 0.2
) -> Layer:
    """EfficientNet-B4, for 380x380: 19,341,616 parameters."""
    return _scaled(1.4, 1.8, NORM, classes, rate, drop_path_rate)


@image_model
def efficientnet_b5(
    *, classes: int = 1000, rate: float = 0.4, drop_path_rate: float = 0.2
) -> Layer:
    """EfficientNet-B5, for 456x456: 30,389,784 parameters."""
    return _scaled(1.6, 2.2, _TENSORFLOW_NORM, classes, rate, drop_path_rate)


@image_model
def efficientnet_b6(
    *, classes: int = 1000, rate: float = 0.5, drop_path_rate: float = 0.2
) -> Layer:
    """EfficientNet-B6, for 528x528: 43,040,704 parameters."""
    return _scaled(1.8, 2.6, _TENSORFLOW_NORM, classes, rate, drop_path_rate)


@image_model
def efficientnet_b7(
    *, classes: int = 1000, rate: float = 0.5, drop_path_rate: float = 0.2
) -> Layer:
    """EfficientNet-B7, for 600x600: 66,347,960 parameters."""
    return _scaled(2.0, 3.1, _TENSORFLOW_NORM, classes, rate, drop_path_rate)


@image_model
def efficientnet_v2_s(
    *, classes: int = 1000, rate: float = 0.2, drop_path_rate: float = 0.2
) -> Layer:
    """EfficientNetV2-S (Tan and Le, 2021, arXiv:2104.00298), for 384x384: 21,458,488 parameters."""
    return _efficientnet(_V2_S, 1280, _V2_NORM, classes, rate, drop_path_rate)


@image_model
def efficientnet_v2_m(
    *, classes: int = 1000, rate: float = 0.3, drop_path_rate: float = 0.2
) -> Layer:
    """EfficientNetV2-M, for 480x480: 54,139,356 parameters."""
    return _efficientnet(_V2_M, 1280, _V2_NORM, classes, rate, drop_path_rate)


@image_model
def efficientnet_v2_l(
    *, classes: int = 1000, rate: float = 0.4, drop_path_rate: float = 0.2
) -> Layer:
    """EfficientNetV2-L, for 480x480: 118,515,272 parameters."""
    return _efficientnet(_V2_L, 1280, _V2_NORM, classes, rate, drop_path_rate)


def _dialect(table: Sequence[Stage], size: int) -> Dialect:
    """Of torchvision, for these stages; their blocks may be of any number."""

    def name(match):
        row = table[int(match[1]) - 1]
        first = 2 if row.expansion == 1 and not row.fused else 1
        within = listed(first, 0 if row.fused else 1)
        return f"features.{match[1]}.{int(match[2]) - 1}.{within(match)}"

    last = 1 + len(table)
    rules = [
        ("conv1", "features.0.0"), ("bn1", "features.0.1"), (BLOCK + INSIDE, name),
        ("conv2", f"features.{last}.0"), ("bn2", f"features.{last}.1"), ("head", "classifier.1"),
    ]  # fmt: skip
    return Dialect(rules, pointwise=SQUEEZED, size=size)


for _name, _size in (("b0", 224), ("b1", 240), ("b2", 288), ("b3", 300), ("b4", 380)):
    speaks(
        [f"efficientnet_{_name}"],
        _dialect(_B0, _size),
        Dialect(TIMM, pointwise=SQUEEZED, size=_size),
    )
for _name, _size in (("b5", 456), ("b6", 528), ("b7", 600)):  # in timm with another eps
    speaks([f"efficientnet_{_name}"], _dialect(_B0, _size))
speaks(["efficientnet_v2_s"], _dialect(_V2_S, 384))
speaks(["efficientnet_v2_m"], _dialect(_V2_M, 480))
speaks(["efficientnet_v2_l"], _dialect(_V2_L, 480))
