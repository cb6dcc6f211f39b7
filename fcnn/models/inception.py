"""Inception networks: branches of several sizes of window beside each other.

Images ``[n, h, w, c]`` to logits ``[n, classes]``, without the auxiliary heads that helped training
before there was batch norm. Everything stands as in torchvision, so that its weights fit; those
want pixels from -1 to 1.
"""

from typing import Any

from ..core import Layer, concat, serial
from ..layers import avg_pool, batch_norm, conv, max_pool, relu
from .dialects import Dialect, speaks
from .heads import pooled_head
from .registry import image_model


def _unit(
    features: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | str = "same"
) -> dict[str, Any]:
    """Convolution, norm, relu, as parts of a ``serial``."""
    body = conv(features, kernel, stride, padding=padding, bias=False)
    return {"conv": body, "bn": batch_norm(eps=1e-3), "relu": relu}


def _one(
    features: int, kernel: int | tuple[int, int] = 1, stride: int = 1, padding: int | str = "same"
) -> Layer:
    return serial(**_unit(features, kernel, stride, padding))


def _row(*units: Layer, **more: Layer) -> Layer:
    return serial(**{f"conv{i}": unit for i, unit in enumerate(units, start=1)}, **more)


def inception_block(one: int, three: tuple[int, int], five: tuple[int, int], pooled: int) -> Layer:
    """The module of GoogLeNet: the features of its four branches, and those of the 1x1 within."""
    return concat(
        branch1=_one(one),
        branch2=_row(_one(three[0]), _one(three[1], 3)),
        branch3=_row(_one(five[0]), _one(five[1], 3)),
        branch4=serial(pool=max_pool(3, 1, padding=1), **_unit(pooled, 1)),
    )


@image_model
def googlenet(*, classes: int = 1000, rate: float = 0.2) -> Layer:
    """GoogLeNet (Szegedy et al., 2015, arXiv:1409.4842) with batch norm: 6,624,904 parameters.

    As in torchvision, with 3x3 where the paper has 5x5. The two auxiliary heads, which are not
    here, would make it 13,004,888. ``rate`` is that of the dropout before the head.
    """
    block = inception_block
    return serial(
        conv1=_one(64, 7, 2, padding=3), pool1=max_pool(3, 2, ceil=True),
        conv2=_one(64), conv3=_one(192, 3), pool2=max_pool(3, 2, ceil=True),
        inception3a=block(64, (96, 128), (16, 32), 32),
        inception3b=block(128, (128, 192), (32, 96), 64),
        pool3=max_pool(3, 2, ceil=True),
        inception4a=block(192, (96, 208), (16, 48), 64),
        inception4b=block(160, (112, 224), (24, 64), 64),
        inception4c=block(128, (128, 256), (24, 64), 64),
        inception4d=block(112, (144, 288), (32, 64), 64),
        inception4e=block(256, (160, 320), (32, 128), 128),
        pool4=max_pool(2, ceil=True),
        inception5a=block(256, (160, 320), (32, 128), 128),
        inception5b=block(384, (192, 384), (48, 128), 128),
        **pooled_head(classes, rate),
    )  # fmt: skip


def _averaged(features: int) -> Layer:
    return serial(pool=avg_pool(3, 1, 1, count_padding=True), **_unit(features, 1))


def _mixed35(pooled: int) -> Layer:
    """Figure 5 of the paper: a 5x5 beside two 3x3."""
    return concat(
        branch1x1=_one(64),
        branch5x5=_row(_one(48), _one(64, 5)),
        branch3x3dbl=_row(_one(64), _one(96, 3), _one(96, 3)),
        branch_pool=_averaged(pooled),
    )


def _mixed17(inside: int) -> Layer:
    """Figure 6: a 7x7 as 1x7 and 7x1, once and twice."""
    wide, tall = (1, 7), (7, 1)
    return concat(
        branch1x1=_one(192),
        branch7x7=_row(_one(inside), _one(inside, wide), _one(192, tall)),
        branch7x7dbl=_row(
            _one(inside), _one(inside, tall), _one(inside, wide), _one(inside, tall),
            _one(192, wide),
        ),
        branch_pool=_averaged(192),
    )  # fmt: skip


def _mixed8() -> Layer:
    """Figure 7: 1x3 and 3x1 beside each other."""
    return concat(
        branch1x1=_one(320),
        branch3x3=_row(_one(384), split=concat(conv2a=_one(384, (1, 3)), conv2b=_one(384, (3, 1)))),
        branch3x3dbl=_row(
            _one(448), _one(384, 3),
            split=concat(conv3a=_one(384, (1, 3)), conv3b=_one(384, (3, 1))),
        ),
        branch_pool=_averaged(192),
    )  # fmt: skip


def _reduced35() -> Layer:
    """From 35x35 to 17x17 with images of 299x299."""
    return concat(
        branch3x3=_one(384, 3, 2, "valid"),
        branch3x3dbl=_row(_one(64), _one(96, 3), _one(96, 3, 2, "valid")),
        pool=max_pool(3, 2),
    )


def _reduced17() -> Layer:
    """From 17x17 to 8x8."""
    return concat(
        branch3x3=_row(_one(192), _one(320, 3, 2, "valid")),
        branch7x7x3=_row(_one(192), _one(192, (1, 7)), _one(192, (7, 1)), _one(192, 3, 2, "valid")),
        pool=max_pool(3, 2),
    )


@image_model
def inception_v3(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """Inception-v3 (Szegedy et al., 2016, arXiv:1512.00567): 23,834,568 parameters.

    For images from 75x75 on, made for 299x299. The auxiliary head, which is not here, would make
    it 27,161,264. ``rate`` is that of the dropout before the head.
    """
    return serial(
        conv1a=_one(32, 3, 2, "valid"), conv2a=_one(32, 3, 1, "valid"), conv2b=_one(64, 3),
        pool1=max_pool(3, 2),
        conv3b=_one(80), conv4a=_one(192, 3, 1, "valid"), pool2=max_pool(3, 2),
        mixed5b=_mixed35(32), mixed5c=_mixed35(64), mixed5d=_mixed35(64),
        mixed6a=_reduced35(),
        mixed6b=_mixed17(128), mixed6c=_mixed17(160), mixed6d=_mixed17(160), mixed6e=_mixed17(192),
        mixed7a=_reduced17(), mixed7b=_mixed8(), mixed7c=_mixed8(),
        **pooled_head(classes, rate),
    )  # fmt: skip


speaks(
    ["googlenet"],
    Dialect([
        (r"(conv\d)/(conv|bn)", r"\1.\2"),
        (r"(inception\w+)/branch1/(conv|bn)", r"\1.branch1.\2"),
        (r"(inception\w+)/(branch[23])/conv1/(conv|bn)", r"\1.\2.0.\3"),
        (r"(inception\w+)/(branch[23])/conv2/(conv|bn)", r"\1.\2.1.\3"),
        (r"(inception\w+)/branch4/(conv|bn)", r"\1.branch4.1.\2"),
        ("head", "fc"),
    ], left_out=r"aux[12]\..*"),
)  # fmt: skip
speaks(
    ["inception_v3"],
    Dialect([
        (r"conv(3b)/(conv|bn)", r"Conv2d_\1_1x1.\2"),
        (r"conv(\w+)/(conv|bn)", r"Conv2d_\1_3x3.\2"),
        (r"mixed(\w+)/(branch\w+)/(?:split/)?conv(\w+)/(conv|bn)", r"Mixed_\1.\2_\3.\4"),
        (r"mixed(\w+)/(branch\w+)/(conv|bn)", r"Mixed_\1.\2.\3"),
        ("head", "fc"),
    ], left_out=r"AuxLogits\..*", size=299),
)  # fmt: skip
