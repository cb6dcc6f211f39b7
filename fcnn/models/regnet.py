"""RegNet (Radosavovic et al., 2020, arXiv:2003.13678): residual networks of widths that a line
gives.

Images ``[n, h, w, c]`` to logits ``[n, classes]``. Padding and stride stand as in torchvision, so
that its weights fit.
"""

import re
from collections.abc import Callable, Sequence

from ..core import Layer, identity, serial, wire
from ..layers import batch_norm, conv, relu, squeeze_excite
from .dialects import Dialect, speaks
from .heads import pooled_head
from .registry import image_model
from .resnet import projection


def regnet_block(
    inside: int, features: int, stride: int = 1, *, group: int = 8, squeezes: bool = False
) -> Layer:
    """1x1, 3x3 in groups of ``group`` channels, 1x1, all of one width, and a skip, projected where
    the shape changes. Y ``squeezes`` to a quarter of the channels that come in; X does not.
    """

    def forward(f, x):
        y = relu(f.bn1(f.conv1(x)))
        y = relu(f.bn2(f.conv2(y)))
        y = f.bn3(f.conv3(f.se(y)))
        return relu(y + f.skip(x))

    groups = features // group
    stays = stride == 1 and inside == features
    return wire(
        forward,
        conv1=conv(features, 1, bias=False), bn1=batch_norm(),
        conv2=conv(features, 3, stride, padding=1, groups=groups, bias=False), bn2=batch_norm(),
        se=squeeze_excite(features=round(inside / 4)) if squeezes else identity,
        conv3=conv(features, 1, bias=False), bn3=batch_norm(),
        skip=identity if stays else projection(features, stride),
    )  # fmt: skip


def _regnet(
    widths: Sequence[int], depths: Sequence[int], group: int, squeezes: bool, classes: int
) -> Layer:
    inside, stages = 32, {}
    for i, (features, blocks) in enumerate(zip(widths, depths, strict=True), start=1):
        parts = {}
        for j in range(1, blocks + 1):
            stride = 2 if j == 1 else 1
            parts[f"block{j}"] = regnet_block(
                inside, features, stride, group=group, squeezes=squeezes
            )
            inside = features
        stages[f"stage{i}"] = serial(**parts)
    return serial(
        conv1=conv(32, 3, 2, padding=1, bias=False), bn1=batch_norm(), relu1=relu,
        **stages,
        **pooled_head(classes),
    )  # fmt: skip


@image_model
def regnet_x_400mf(*, classes: int = 1000) -> Layer:
    """RegNetX at 400 million multiply-adds: 5,495,976 parameters."""
    return _regnet((32, 64, 160, 400), (1, 2, 7, 12), 16, False, classes)


@image_model
def regnet_y_400mf(*, classes: int = 1000) -> Layer:
    """RegNetY, with squeeze-and-excitation: 4,344,144 parameters."""
    return _regnet((48, 104, 208, 440), (1, 3, 6, 6), 8, True, classes)


def _at(inside: str) -> Callable[[re.Match[str]], str]:
    """Within a block of torchvision, where the blocks repeat the name of their stage."""

    def name(match):
        stage, block = match[1], int(match[2]) - 1
        place = inside.format(*("abc"[int(number) - 1] for number in match.groups()[2:]))
        return f"trunk_output.block{stage}.block{stage}-{block}.{place}"

    return name


_BLOCK = r"stage(\d)/block(\d+)/"
_TORCHVISION = [
    ("conv1", "stem.0"), ("bn1", "stem.1"),
    (_BLOCK + r"conv(\d)", _at("f.{}.0")), (_BLOCK + r"bn(\d)", _at("f.{}.1")),
    (_BLOCK + "se/reduce", _at("f.se.fc1")), (_BLOCK + "se/expand", _at("f.se.fc2")),
    (_BLOCK + "skip/conv", _at("proj.0")), (_BLOCK + "skip/bn", _at("proj.1")),
    ("head", "fc"),
]  # fmt: skip
_TIMM = [
    ("conv1", "stem.conv"), ("bn1", "stem.bn"),
    (_BLOCK + r"(conv|bn)(\d)", r"s\1.b\2.conv\4.\3"),
    (_BLOCK + "se/reduce", r"s\1.b\2.se.fc1"), (_BLOCK + "se/expand", r"s\1.b\2.se.fc2"),
    (_BLOCK + "skip/(conv|bn)", r"s\1.b\2.downsample.\3"),
    ("head", "head.fc"),
]  # fmt: skip
_SQUEEZED = r".*/se/(reduce|expand)/kernel"
speaks(
    ["regnet_x_400mf", "regnet_y_400mf"],
    Dialect(_TORCHVISION, pointwise=_SQUEEZED),
    Dialect(_TIMM, pointwise=_SQUEEZED),
)
