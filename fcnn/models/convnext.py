"""ConvNeXt (Liu et al., 2022, arXiv:2201.03545): a residual network with the habits of
transformers.

Images ``[n, h, w, c]`` to logits ``[n, classes]``. Strides and the ``eps`` of the norms stand as in
torchvision, so that its weights fit; those of the second version as in timm.
"""

import re
from collections.abc import Sequence

from ..core import Layer, serial, wire
from ..layers import (
    activation,
    conv,
    dense,
    depthwise_conv,
    drop_path,
    gelu,
    global_avg_pool,
    global_response_norm,
    layer_norm,
    layer_scale,
)
from .dialects import Dialect, speaks
from .registry import image_model

_BEGIN = ("truncated_normal", 0.02)


def convnext_block(features: int, *, responses: bool = False, drop_path_rate: float = 0.0) -> Layer:
    """Depthwise 7x7, a norm, and at each pixel up to four times the channels and back, plus a skip.

    What comes back is scaled, from 1e-6 on; or, with ``responses``, what is wide is normalised
    (Woo et al., 2023, arXiv:2301.00808).
    """

    def forward(f, x):
        y = f.act(f.dense1(f.norm(f.conv(x))))
        y = f.dense2(f.grn(y)) if responses else f.scale(f.dense2(y))
        return x + f.drop(y)

    return wire(
        forward,
        conv=depthwise_conv(7, padding=3, kernel_init=_BEGIN), norm=layer_norm(1e-6),
        dense1=dense(4 * features, kernel_init=_BEGIN), act=activation(gelu, approximate=False),
        dense2=dense(features, kernel_init=_BEGIN),
        **({"grn": global_response_norm()} if responses else {"scale": layer_scale(1e-6)}),
        drop=drop_path(drop_path_rate),
    )  # fmt: skip


def _convnext(
    widths: Sequence[int],
    depths: Sequence[int],
    classes: int,
    drop_path_rate: float,
    responses: bool = False,
) -> Layer:
    parts, number, total = {}, 0, sum(depths)
    for i, (features, blocks) in enumerate(zip(widths, depths, strict=True), start=1):
        if i == 1:
            parts["conv1"] = conv(features, 4, 4, padding="valid", kernel_init=_BEGIN)
            parts["norm1"] = layer_norm(1e-6)
        else:
            down = conv(features, 2, 2, padding="valid", kernel_init=_BEGIN)
            parts[f"down{i}"] = serial(norm=layer_norm(1e-6), conv=down)
        stage = {}
        for j in range(1, blocks + 1):
            rate = drop_path_rate * number / (total - 1)
            stage[f"block{j}"] = convnext_block(features, responses=responses, drop_path_rate=rate)
            number += 1
        parts[f"stage{i}"] = serial(**stage)
    head = {"head": dense(classes, kernel_init=_BEGIN)} if classes else {}
    return serial(**parts, pool_all=global_avg_pool, norm2=layer_norm(1e-6), **head)


@image_model
def convnext_tiny(*, classes: int = 1000, drop_path_rate: float = 0.1) -> Layer:
    """ConvNeXt-T: 28,589,128 parameters.

    ``drop_path_rate`` is the probability of skipping the last block in training; before it less, in
    proportion. With no classes it ends in the normalised features.
    """
    return _convnext((96, 192, 384, 768), (3, 3, 9, 3), classes, drop_path_rate)


@image_model
def convnext_small(*, classes: int = 1000, drop_path_rate: float = 0.4) -> Layer:
    """ConvNeXt-S: 50,223,688 parameters."""
    return _convnext((96, 192, 384, 768), (3, 3, 27, 3), classes, drop_path_rate)


@image_model
def convnext_base(*, classes: int = 1000, drop_path_rate: float = 0.5) -> Layer:
    """ConvNeXt-B: 88,591,464 parameters."""
    return _convnext((128, 256, 512, 1024), (3, 3, 27, 3), classes, drop_path_rate)


@image_model
def convnext_v2_tiny(*, classes: int = 1000, drop_path_rate: float = 0.0) -> Layer:
    """ConvNeXt V2-T (Woo et al., 2023, arXiv:2301.00808): 28,635,496 parameters."""
    return _convnext((96, 192, 384, 768), (3, 3, 9, 3), classes, drop_path_rate, responses=True)


def _at(inside: str):
    """Within a block of torchvision, where stages and what lies between them count on."""

    def name(match: re.Match[str]) -> str:
        return f"features.{2 * int(match[1]) - 1}.{int(match[2]) - 1}.{inside}"

    return name


def _down(inside: str):
    return lambda match: f"features.{2 * int(match[1]) - 2}.{inside}"


_BLOCK = r"stage(\d)/block(\d+)/"
_TORCHVISION = [
    ("conv1", "features.0.0"), ("norm1", "features.0.1"),
    (r"down(\d)/norm", _down("0")), (r"down(\d)/conv", _down("1")),
    (_BLOCK + "conv", _at("block.0")), (_BLOCK + "norm", _at("block.2")),
    (_BLOCK + "dense1", _at("block.3")), (_BLOCK + "dense2", _at("block.5")),
    (_BLOCK + "scale/scale", _at("layer_scale")),
    ("norm2", "classifier.0"), ("head", "classifier.2"),
]  # fmt: skip


def _timm_at(inside: str):
    return lambda match: f"stages.{int(match[1]) - 1}.blocks.{int(match[2]) - 1}.{inside}"


def _timm_down(inside: str):
    return lambda match: f"stages.{int(match[1]) - 1}.downsample.{inside}"


_TIMM = [
    ("conv1", "stem.0"), ("norm1", "stem.1"),
    (r"down(\d)/norm", _timm_down("0")), (r"down(\d)/conv", _timm_down("1")),
    (_BLOCK + "conv", _timm_at("conv_dw")), (_BLOCK + "norm", _timm_at("norm")),
    (_BLOCK + "dense1", _timm_at("mlp.fc1")), (_BLOCK + "dense2", _timm_at("mlp.fc2")),
    (_BLOCK + "grn", _timm_at("mlp.grn")), (_BLOCK + "scale/scale", _timm_at("gamma")),
    ("norm2", "head.norm"), ("head", "head.fc"),
]  # fmt: skip
speaks(
    ["convnext_tiny", "convnext_small", "convnext_base"],
    Dialect(_TORCHVISION, pointwise=r".*/scale/scale"),
    Dialect(_TIMM),
)
speaks(["convnext_v2_tiny"], Dialect(_TIMM))
