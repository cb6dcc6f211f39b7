"""Residual networks (He et al., 2016, arXiv:1512.03385) for ImageNet and for CIFAR.

Images ``[n, h, w, c]`` to logits ``[n, classes]``. Padding and stride stand as in torchvision
(stride on the 3x3 of the bottleneck), so that its weights fit.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from ..core import Layer, identity, serial, wire
from ..layers import batch_norm, conv, max_pool, relu
from .dialects import Dialect, speaks
from .heads import pooled_head
from .registry import image_model


def basic_block(features: int, stride: int = 1, skip: Any = identity) -> Layer:
    """Two 3x3 convolutions and a skip."""

    def forward(f, x):
        y = relu(f.bn1(f.conv1(x)))
        y = f.bn2(f.conv2(y))
        return relu(y + f.skip(x))

    return wire(
        forward,
        conv1=conv(features, 3, stride, padding=1, bias=False), bn1=batch_norm(),
        conv2=conv(features, 3, padding=1, bias=False), bn2=batch_norm(),
        skip=skip,
    )  # fmt: skip


def bottleneck_block(
    features: int, stride: int = 1, skip: Any = identity, *, groups: int = 1, width: int = 64
) -> Layer:
    """1x1 down, 3x3, 1x1 up to four times ``features``, and a skip.

    Inside there are ``groups`` of ``width`` channels in the first stage, where ``features`` is 64,
    and more in step with ``features``.
    """
    inside = features * width // 64 * groups

    def forward(f, x):
        y = relu(f.bn1(f.conv1(x)))
        y = relu(f.bn2(f.conv2(y)))
        y = f.bn3(f.conv3(y))
        return relu(y + f.skip(x))

    return wire(
        forward,
        conv1=conv(inside, 1, bias=False), bn1=batch_norm(),
        conv2=conv(inside, 3, stride, padding=1, groups=groups, bias=False), bn2=batch_norm(),
        conv3=conv(4 * features, 1, bias=False), bn3=batch_norm(),
        skip=skip,
    )  # fmt: skip


def projection(features: int, stride: int) -> Layer:
    """Shortcut B of the paper: a 1x1 convolution."""
    return serial(conv=conv(features, 1, stride, padding=0, bias=False), bn=batch_norm())


def padded(features: int, stride: int) -> Callable[[Any], Any]:
    """Shortcut A of the paper: every ``stride``-th pixel, new channels zero on both sides."""

    def padded(x):
        x = x[:, ::stride, ::stride]
        more = features - x.shape[-1]
        return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (more // 2, more - more // 2)))

    return padded


def _stage(
    block: Callable[..., Layer], features: int, out: int, blocks: int, stride: int, shortcut: Any
) -> Layer:
    """Blocks in a row; the first changes size and width."""
    first = block(features, stride, shortcut(out, stride) if shortcut else identity)
    rest = {f"block{i}": block(features) for i in range(2, blocks + 1)}
    return serial(block1=first, **rest)


def _resnet(
    block: Callable[..., Layer], growth: int, blocks: Sequence[int], classes: int, stem: str
) -> Layer:
    stems = {
        "standard": {
            "conv1": conv(64, 7, 2, padding=3, bias=False), "bn1": batch_norm(), "relu": relu,
            "pool": max_pool(3, 2, padding=1),
        },
        "small": {"conv1": conv(64, 3, padding=1, bias=False), "bn1": batch_norm(), "relu": relu},
    }  # fmt: skip
    if stem not in stems:
        raise ValueError(f"stem must be one of {', '.join(stems)}, got {stem!r}")
    stages = {}
    for i, n in enumerate(blocks):
        features, stride = 64 * 2**i, 1 if i == 0 else 2
        shortcut = projection if stride > 1 or growth > 1 else None
        stages[f"stage{i + 1}"] = _stage(block, features, growth * features, n, stride, shortcut)
    return serial(**stems[stem], **stages, **pooled_head(classes))


def _cifar_resnet(blocks: int, classes: int) -> Layer:
    stages = {
        f"stage{i + 1}": _stage(
            basic_block, 16 * 2**i, 16 * 2**i, blocks, 2 if i else 1, padded if i else None
        )
        for i in range(3)
    }
    stem = {"conv1": conv(16, 3, padding=1, bias=False), "bn1": batch_norm(), "relu": relu}
    return serial(**stem, **stages, **pooled_head(classes))


@image_model
def resnet18(*, classes: int = 1000, stem: str = "standard") -> Layer:
    """ResNet-18: 11,689,512 parameters; ``stem="small"`` (3x3, no pooling) for small pictures."""
    return _resnet(basic_block, 1, (2, 2, 2, 2), classes, stem)


@image_model
def resnet34(*, classes: int = 1000, stem: str = "standard") -> Layer:
    """ResNet-34: 21,797,672 parameters."""
    return _resnet(basic_block, 1, (3, 4, 6, 3), classes, stem)


@image_model
def resnet50(*, classes: int = 1000, stem: str = "standard") -> Layer:
    """ResNet-50: 25,557,032 parameters."""
    return _resnet(bottleneck_block, 4, (3, 4, 6, 3), classes, stem)


@image_model
def resnet101(*, classes: int = 1000, stem: str = "standard") -> Layer:
    """ResNet-101: 44,549,160 parameters."""
    return _resnet(bottleneck_block, 4, (3, 4, 23, 3), classes, stem)


@image_model
def resnet152(*, classes: int = 1000, stem: str = "standard") -> Layer:
    """ResNet-152: 60,192,808 parameters."""
    return _resnet(bottleneck_block, 4, (3, 8, 36, 3), classes, stem)


@image_model
def resnext50_32x4d(*, classes: int = 1000, stem: str = "standard") -> Layer:
    """ResNeXt-50 (Xie et al., 2017, arXiv:1611.05431), 32 groups of 4: 25,028,904 parameters."""
    block = functools.partial(bottleneck_block, groups=32, width=4)
    return _resnet(block, 4, (3, 4, 6, 3), classes, stem)


@image_model
def wide_resnet50_2(*, classes: int = 1000, stem: str = "standard") -> Layer:
    """Wide ResNet-50 (Zagoruyko and Komodakis, 2016, arXiv:1605.07146), twice as wide within
    blocks: 68,883,240 parameters.
    """
    block = functools.partial(bottleneck_block, width=128)
    return _resnet(block, 4, (3, 4, 6, 3), classes, stem)


@image_model
def resnet20(*, classes: int = 10) -> Layer:
    """ResNet-20 for CIFAR, shortcut A: 269,722 parameters."""
    return _cifar_resnet(3, classes)


@image_model
def resnet32(*, classes: int = 10) -> Layer:
    """ResNet-32 for CIFAR, shortcut A: 464,154 parameters."""
    return _cifar_resnet(5, classes)


@image_model
def resnet44(*, classes: int = 10) -> Layer:
    """ResNet-44 for CIFAR, shortcut A: 658,586 parameters."""
    return _cifar_resnet(7, classes)


@image_model
def resnet56(*, classes: int = 10) -> Layer:
    """ResNet-56 for CIFAR, shortcut A: 853,018 parameters."""
    return _cifar_resnet(9, classes)


@image_model
def resnet110(*, classes: int = 10) -> Layer:
    """ResNet-110 for CIFAR, shortcut A: 1,727,962 parameters."""
    return _cifar_resnet(18, classes)


def _block(inside: str) -> Callable[[re.Match[str]], str]:
    """Blocks count from 0 there."""
    return lambda match: f"layer{match[1]}.{int(match[2]) - 1}.{match.expand(inside)}"


_BLOCKS = (
    (r"(conv1|bn1)", r"\1"),
    (r"stage(\d)/block(\d+)/((?:conv|bn)\d)", _block(r"\3")),
    (r"stage(\d)/block(\d+)/skip/conv", _block("downsample.0")),
    (r"stage(\d)/block(\d+)/skip/bn", _block("downsample.1")),
)
_LARGE = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
_CIFAR = ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110")
_FC = Dialect([*_BLOCKS, ("head", "fc")])  # of torchvision, and of timm
speaks([*_LARGE, "resnext50_32x4d", "wide_resnet50_2"], _FC)
speaks(
    _CIFAR,
    Dialect([*_BLOCKS, ("head", "linear")], size=32),
    Dialect([*_BLOCKS, ("head", "fc")], size=32),
)
