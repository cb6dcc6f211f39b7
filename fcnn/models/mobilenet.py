"""Networks for small devices: depthwise convolutions between thin layers.

Images ``[n, h, w, c]`` to logits ``[n, classes]``. Padding and stride stand as in torchvision, so
that its weights fit; those of MobileNet as in Keras.
"""

import itertools
import re
from collections.abc import Sequence

from ..core import Layer, serial
from ..layers import (
    batch_norm,
    conv,
    dense,
    depthwise_conv,
    dropout,
    global_avg_pool,
    hard_sigmoid,
    hard_silu,
    relu,
    relu6,
    squeeze_excite,
)
from .dialects import Dialect, speaks
from .heads import pooled_head
from .inverted import (
    BLOCK,
    INSIDE,
    NORM,
    SQUEEZED,
    TIMM,
    counted,
    divisible,
    inverted_block,
    listed,
)
from .registry import image_model

_KERAS_NORM = batch_norm(0.99, 1e-3, unbiased=False)
_V1 = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))  # features, blocks, stride


def separable_block(features: int, stride: int = 1) -> Layer:
    """Depthwise 3x3, 1x1; a stride pads behind alone, as in TensorFlow."""
    padding = 1 if stride == 1 else ((0, 1), (0, 1))
    return serial(
        conv1=depthwise_conv(3, stride, padding=padding, bias=False), bn1=_KERAS_NORM,
        relu1=relu6,
        conv2=conv(features, 1, bias=False), bn2=_KERAS_NORM, relu2=relu6,
    )  # fmt: skip


@image_model
def mobilenet_v1(*, classes: int = 1000, width: float = 1.0, rate: float = 1e-3) -> Layer:
    """MobileNet (Howard et al., 2017, arXiv:1704.04861): 4,231,976 parameters, with the statistics
    of the norms, which Keras counts, 4,253,864.

    ``width`` multiplies all channels; ``rate`` is that of the dropout before the head.
    """
    stages = {}
    for i, (features, blocks, stride) in enumerate(_V1, start=1):
        features = int(width * features)
        names = [f"block{j}" for j in range(2, blocks + 1)]
        rest = dict.fromkeys(names, separable_block(features))
        stages[f"stage{i}"] = serial(block1=separable_block(features, stride), **rest)
    return serial(
        conv1=conv(int(32 * width), 3, 2, bias=False), bn1=_KERAS_NORM, relu1=relu6,
        **stages,
        **pooled_head(classes, rate),
    )  # fmt: skip


_V2 = (  # features, blocks, stride, expansion: table 2 of the paper
    (16, 1, 1, 1), (24, 2, 2, 6), (32, 3, 2, 6), (64, 4, 2, 6),
    (96, 3, 1, 6), (160, 3, 2, 6), (320, 1, 1, 6),
)  # fmt: skip


@image_model
def mobilenet_v2(*, classes: int = 1000, width: float = 1.0, rate: float = 0.2) -> Layer:
    """MobileNetV2 (Sandler et al., 2018, arXiv:1801.04381): 3,504,872 parameters.

    ``width`` multiplies the channels, to multiples of 8; ``rate`` is that of the dropout before the
    head.
    """
    first = inside = divisible(32 * width)
    stages = {}
    for i, (features, blocks, stride, expansion) in enumerate(_V2, start=1):
        parts, features = {}, divisible(features * width)
        for j in range(1, blocks + 1):
            wide = inside * expansion
            parts[f"block{j}"] = inverted_block(inside, wide, features, stride if j == 1 else 1)
            inside = features
        stages[f"stage{i}"] = serial(**parts)
    return serial(
        conv1=conv(first, 3, 2, padding=1, bias=False), bn1=NORM, relu1=relu6,
        **stages,
        conv2=conv(divisible(1280 * max(1, width)), 1, bias=False), bn2=NORM, relu2=relu6,
        **pooled_head(classes, rate),
    )  # fmt: skip


# kernel, width within, features, stride, whether it squeezes, activation: tables 1 and 2
_V3_LARGE = (
    (3, 16, 16, 1, False, relu),
    (3, 64, 24, 2, False, relu), (3, 72, 24, 1, False, relu),
    (5, 72, 40, 2, True, relu), (5, 120, 40, 1, True, relu), (5, 120, 40, 1, True, relu),
    (3, 240, 80, 2, False, hard_silu), (3, 200, 80, 1, False, hard_silu),
    (3, 184, 80, 1, False, hard_silu), (3, 184, 80, 1, False, hard_silu),
    (3, 480, 112, 1, True, hard_silu), (3, 672, 112, 1, True, hard_silu),
    (5, 672, 160, 2, True, hard_silu), (5, 960, 160, 1, True, hard_silu),
    (5, 960, 160, 1, True, hard_silu),
)  # fmt: skip
_V3_SMALL = (
    (3, 16, 16, 2, True, relu),
    (3, 72, 24, 2, False, relu), (3, 88, 24, 1, False, relu),
    (5, 96, 40, 2, True, hard_silu), (5, 240, 40, 1, True, hard_silu),
    (5, 240, 40, 1, True, hard_silu),
    (5, 120, 48, 1, True, hard_silu), (5, 144, 48, 1, True, hard_silu),
    (5, 288, 96, 2, True, hard_silu), (5, 576, 96, 1, True, hard_silu),
    (5, 576, 96, 1, True, hard_silu),
)  # fmt: skip


def _mobilenet_v3(
    table: Sequence[tuple], last: int, classes: int, width: float, rate: float
) -> Layer:
    norm = batch_norm(0.99, 1e-3)
    first = inside = divisible(16 * width)
    stages = {}
    for i, (_, rows) in enumerate(itertools.groupby(table, lambda row: row[2]), start=1):
        parts = {}
        for j, (kernel, wide, features, stride, squeezes, activation) in enumerate(rows, start=1):
            wide, features = divisible(wide * width), divisible(features * width)
            squeeze = squeeze_excite(features=divisible(wide // 4), gate=hard_sigmoid)
            parts[f"block{j}"] = inverted_block(
                inside, wide, features, stride, kernel=kernel, activation=activation, norm=norm,
                squeeze=squeeze if squeezes else None,
            )  # fmt: skip
            inside = features
        stages[f"stage{i}"] = serial(**parts)
    head = {"dropout": dropout(rate), "head": dense(classes)} if classes else {}
    return serial(
        conv1=conv(first, 3, 2, padding=1, bias=False), bn1=norm, act1=hard_silu,
        **stages,
        conv2=conv(6 * inside, 1, bias=False), bn2=norm, act2=hard_silu,
        pool_all=global_avg_pool, dense=dense(divisible(last * width)), act3=hard_silu,
        **head,
    )  # fmt: skip


@image_model
def mobilenet_v3_small(*, classes: int = 1000, width: float = 1.0, rate: float = 0.2) -> Layer:
    """MobileNetV3-Small (Howard et al., 2019, arXiv:1905.02244): 2,542,856 parameters.

    ``width`` multiplies the channels, to multiples of 8; ``rate`` is that of the dropout before the
    head. With no classes it ends in the features before that.
    """
    return _mobilenet_v3(_V3_SMALL, 1024, classes, width, rate)


@image_model
def mobilenet_v3_large(*, classes: int = 1000, width: float = 1.0, rate: float = 0.2) -> Layer:
    """MobileNetV3-Large: 5,483,032 parameters; options as for the small one."""
    return _mobilenet_v3(_V3_LARGE, 1280, classes, width, rate)


def _v1_name(match: re.Match[str]) -> str:
    """Of Keras: ``conv_dw_1``, ``conv_dw_1_bn``, ``conv_pw_1``."""
    number = 1 + counted([blocks for _, blocks, _ in _V1], match)
    return f"conv_{'dw' if match[4] == '1' else 'pw'}_{number}{'_bn' * (match[3] == 'bn')}"


def _v2_name(match: re.Match[str]) -> str:
    """Of torchvision: all in a list, the last convolution without one of its own."""
    number = 1 + counted([blocks for _, blocks, *_ in _V2], match)
    place, norm = int(match[4]) - (1 if int(match[1]) > 1 else 2), match[3] == "bn"
    inside = f"{place + norm}" if match[4] == "3" else f"{place}.{norm:d}"
    return f"features.{number}.conv.{inside}"


def _v3_dialect(table: Sequence[tuple]) -> Dialect:
    stages = [list(rows) for _, rows in itertools.groupby(table, lambda row: row[2])]
    depths = [len(rows) for rows in stages]

    def name(match):
        first = 2 if match[1] == "1" else 1  # nothing widens the first block
        within = listed(first, stages[int(match[1]) - 1][0][4])
        return f"features.{1 + counted(depths, match)}.{within(match)}"

    last = 1 + len(table)
    rules = [
        ("conv1", "features.0.0"), ("bn1", "features.0.1"), (BLOCK + INSIDE, name),
        ("conv2", f"features.{last}.0"), ("bn2", f"features.{last}.1"),
        ("dense", "classifier.0"), ("head", "classifier.3"),
    ]  # fmt: skip
    return Dialect(rules, pointwise=SQUEEZED)


_V2_RULES = [
    ("conv1", "features.0.0"), ("bn1", "features.0.1"), (BLOCK + r"(conv|bn)(\d)", _v2_name),
    ("conv2", "features.18.0"), ("bn2", "features.18.1"), ("head", "classifier.1"),
]  # fmt: skip
_V1_RULES = [
    ("conv1", "conv1"), ("bn1", "conv1_bn"), (BLOCK + r"(conv|bn)(\d)", _v1_name),
    ("head", "conv_preds"),
]  # fmt: skip
speaks(["mobilenet_v1"], Dialect(_V1_RULES, pointwise="head/kernel"))
speaks(["mobilenet_v2"], Dialect(_V2_RULES), Dialect(TIMM))
speaks(["mobilenet_v3_small"], _v3_dialect(_V3_SMALL))
speaks(["mobilenet_v3_large"], _v3_dialect(_V3_LARGE))
