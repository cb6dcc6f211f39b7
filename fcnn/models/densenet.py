"""Densely connected networks (Huang et al., 2017, arXiv:1608.06993): in a block, each layer sees
what all before it have found.

Images ``[n, h, w, c]`` to logits ``[n, classes]``. Padding and stride stand as in torchvision, so
that its weights fit.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from ..core import Layer, identity, serial, wire
from ..layers import avg_pool, batch_norm, conv, dropout, max_pool, relu
from .dialects import Dialect, speaks
from .heads import pooled_head
from .registry import image_model


def dense_layer(growth: int, rate: float = 0.0) -> Layer:
    """1x1 to four times ``growth`` channels, 3x3 to ``growth`` more beside those of the input:
    ``[n, h, w, c] -> [n, h, w, c + growth]``.
    """

    def forward(f, x):
        y = f.conv1(relu(f.bn1(x)))
        y = f.conv2(relu(f.bn2(y)))
        return jnp.concatenate([x, f.drop(y)], -1)

    return wire(
        forward,
        bn1=batch_norm(), conv1=conv(4 * growth, 1, bias=False),
        bn2=batch_norm(), conv2=conv(growth, 3, padding=1, bias=False),
        drop=dropout(rate) if rate else identity,
    )  # fmt: skip


def transition(features: int) -> Layer:
    """1x1 to fewer channels, then half the size."""
    return serial(bn=batch_norm(), relu=relu, conv=conv(features, 1, bias=False), pool=avg_pool(2))


def _densenet(
    blocks: Sequence[int], classes: int, rate: float, stem: str, growth: int = 32
) -> Layer:
    features = 2 * growth
    stems: dict[str, dict[str, Any]] = {
        "standard": {
            "conv1": conv(features, 7, 2, padding=3, bias=False), "bn1": batch_norm(),
            "relu1": relu, "pool": max_pool(3, 2, padding=1),
        },
        "small": {
            "conv1": conv(features, 3, padding=1, bias=False), "bn1": batch_norm(), "relu1": relu,
        },
    }  # fmt: skip
    if stem not in stems:
        raise ValueError(f"stem must be one of {', '.join(stems)}, got {stem!r}")
    parts = {}
    for i, layers in enumerate(blocks, start=1):
        block = {f"layer{j}": dense_layer(growth, rate) for j in range(1, layers + 1)}
        parts[f"block{i}"] = serial(**block)
        features += layers * growth
        if i < len(blocks):
            features //= 2
            parts[f"transition{i}"] = transition(features)
    return serial(**stems[stem], **parts, bn2=batch_norm(), relu2=relu, **pooled_head(classes))


@image_model
def densenet121(*, classes: int = 1000, rate: float = 0.0, stem: str = "standard") -> Layer:
    """DenseNet-121: 7,978,856 parameters.

    ``rate`` is that of the dropout after each layer of a block, 0.2 in the paper where pictures
    are not augmented; ``stem="small"`` (3x3, no pooling) is for small pictures.
    """
    return _densenet((6, 12, 24, 16), classes, rate, stem)


@image_model
def densenet161(*, classes: int = 1000, rate: float = 0.0, stem: str = "standard") -> Layer:
    """DenseNet-161, with 48 channels more in each layer instead of 32: 28,681,000 parameters."""
    return _densenet((6, 12, 36, 24), classes, rate, stem, growth=48)


@image_model
def densenet169(*, classes: int = 1000, rate: float = 0.0, stem: str = "standard") -> Layer:
    """DenseNet-169: 14,149,480 parameters."""
    return _densenet((6, 12, 32, 32), classes, rate, stem)


@image_model
def densenet201(*, classes: int = 1000, rate: float = 0.0, stem: str = "standard") -> Layer:
    """DenseNet-201: 20,013,928 parameters."""
    return _densenet((6, 12, 48, 32), classes, rate, stem)


_ENDS = (
    ("conv1", "features.conv0"),
    ("bn1", "features.norm0"),
    (r"transition(\d)/bn", r"features.transition\1.norm"),
    (r"transition(\d)/conv", r"features.transition\1.conv"),
    ("bn2", "features.norm5"),
    ("head", "classifier"),
)


def _dialect(dot: str) -> Dialect:
    inside = r"features.denseblock\1.denselayer\2."
    return Dialect([
        (r"block(\d)/layer(\d+)/bn(\d)", rf"{inside}norm{dot}\3"),
        (r"block(\d)/layer(\d+)/conv(\d)", rf"{inside}conv{dot}\3"),
        *_ENDS,
    ])  # fmt: skip


# torchvision and timm; the files of 2017, which torchvision renames as it loads them
speaks(["densenet121", "densenet161", "densenet169", "densenet201"], _dialect(""), _dialect("."))
