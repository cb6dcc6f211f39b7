"""ShuffleNetV2 (Ma et al., 2018, arXiv:1807.11164): half of the channels pass by, and all are
shuffled.

Images ``[n, h, w, c]`` to logits ``[n, classes]``. Padding and stride stand as in torchvision, so
that its weights fit.
"""

import re

import jax.numpy as jnp

from ..core import Layer, serial, wire
from ..layers import batch_norm, conv, depthwise_conv, max_pool, relu
from .dialects import Dialect, speaks
from .heads import pooled_head
from .registry import image_model


def shuffled(left, right):
    """The channels of both in turn: ``a1 b1 a2 b2 ...``."""
    return jnp.stack([left, right], -1).reshape(*left.shape[:-1], -1)


def shuffle_block(features: int, stride: int = 1) -> Layer:
    """1x1, depthwise 3x3, 1x1 on half of the channels; with a stride, on all of them, and next to
    it a depthwise 3x3 and 1x1, each to half of ``features``.
    """
    half = features // 2

    def body(f, x):
        y = relu(f.bn1(f.conv1(x)))
        y = f.bn2(f.conv2(y))
        return relu(f.bn3(f.conv3(y)))

    def short(f, x):
        return relu(f.bn2(f.conv2(f.bn1(f.conv1(x)))))

    def forward(f, x):
        if stride > 1:
            return shuffled(f.short(x), f.body(x))
        left, right = jnp.split(x, 2, axis=-1)
        return shuffled(left, f.body(right))

    beside = wire(
        short,
        conv1=depthwise_conv(3, stride, padding=1, bias=False), bn1=batch_norm(),
        conv2=conv(half, 1, bias=False), bn2=batch_norm(),
    )  # fmt: skip
    through = wire(
        body,
        conv1=conv(half, 1, bias=False), bn1=batch_norm(),
        conv2=depthwise_conv(3, stride, padding=1, bias=False), bn2=batch_norm(),
        conv3=conv(half, 1, bias=False), bn3=batch_norm(),
    )  # fmt: skip
    return wire(forward, **({"short": beside} if stride > 1 else {}), body=through)


def _shufflenet(widths: tuple[int, int, int], last: int, classes: int, stem: str) -> Layer:
    stems = {
        "standard": {
            "conv1": conv(24, 3, 2, padding=1, bias=False), "bn1": batch_norm(), "relu1": relu,
            "pool": max_pool(3, 2, padding=1),
        },
        "small": {"conv1": conv(24, 3, padding=1, bias=False), "bn1": batch_norm(), "relu1": relu},
    }  # fmt: skip
    if stem not in stems:
        raise ValueError(f"stem must be one of {', '.join(stems)}, got {stem!r}")
    stages = {}
    for i, (features, blocks) in enumerate(zip(widths, (4, 8, 4), strict=True), start=1):
        rest = {f"block{j}": shuffle_block(features) for j in range(2, blocks + 1)}
        stages[f"stage{i}"] = serial(block1=shuffle_block(features, 2), **rest)
    return serial(
        **stems[stem],
        **stages,
        conv2=conv(last, 1, bias=False), bn2=batch_norm(), relu2=relu,
        **pooled_head(classes),
    )  # fmt: skip


@image_model
def shufflenet_v2_x0_5(*, classes: int = 1000, stem: str = "standard") -> Layer:
    """ShuffleNetV2 at half the width: 1,366,792 parameters; ``stem="small"`` (no stride, no
    pooling) for small pictures.
    """
    return _shufflenet((48, 96, 192), 1024, classes, stem)


@image_model
def shufflenet_v2_x1_0(*, classes: int = 1000, stem: str = "standard") -> Layer:
    """ShuffleNetV2: 2,278,604 parameters."""
    return _shufflenet((116, 232, 464), 1024, classes, stem)


@image_model
def shufflenet_v2_x1_5(*, classes: int = 1000, stem: str = "standard") -> Layer:
    """ShuffleNetV2 at one and a half times the width: 3,503,624 parameters."""
    return _shufflenet((176, 352, 704), 1024, classes, stem)


@image_model
def shufflenet_v2_x2_0(*, classes: int = 1000, stem: str = "standard") -> Layer:
    """ShuffleNetV2 at twice the width: 7,393,996 parameters."""
    return _shufflenet((244, 488, 976), 2048, classes, stem)


_PLACES = {  # in the lists of torchvision
    "short": {"conv1": 0, "bn1": 1, "conv2": 2, "bn2": 3},
    "body": {"conv1": 0, "bn1": 1, "conv2": 3, "bn2": 4, "conv3": 5, "bn3": 6},
}


def _name(match: re.Match[str]) -> str:
    branch = {"short": "branch1", "body": "branch2"}[match[3]]
    place = _PLACES[match[3]][match[4]]
    return f"stage{int(match[1]) + 1}.{int(match[2]) - 1}.{branch}.{place}"


_RULES = [
    ("conv1", "conv1.0"), ("bn1", "conv1.1"),
    (r"stage(\d)/block(\d+)/(short|body)/((?:conv|bn)\d)", _name),
    ("conv2", "conv5.0"), ("bn2", "conv5.1"), ("head", "fc"),
]  # fmt: skip
speaks([f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")], Dialect(_RULES))
