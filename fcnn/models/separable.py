"""Xception (Chollet, 2017, arXiv:1610.02357): separable convolutions, with skips around them.

Images ``[n, h, w, c]`` to logits ``[n, classes]``.
"""

from typing import Any, NamedTuple

from ..core import Layer, residual, serial
from ..layers import batch_norm, conv, max_pool, relu, separable_conv
from .dialects import Dialect, speaks
from .heads import pooled_head
from .registry import image_model


class _Manner(NamedTuple):
    """In what those who trained it differ."""

    momentum: float
    eps: float
    padding: int | str  # of the poolings


_MANNERS = {"keras": _Manner(0.99, 1e-3, "same"), "timm": _Manner(0.9, 1e-5, 1)}


@image_model
def xception(*, classes: int = 1000, rate: float = 0.0, like: str = "keras") -> Layer:
    """Xception: 22,855,952 parameters, 22,910,480 with the statistics that Keras counts too.

    For images from 71x71 on, made for 299x299.

    Args:
        classes: 0 for the 2048 features.
        rate: That of the dropout before the head, 0.5 in the paper.
        like: ``"keras"``, which the author wrote, or ``"timm"``, for its weights; the two differ in
            the numbers of the norms and in where a pooling pads.
    """
    if like not in _MANNERS:
        raise ValueError(f"like must be one of {', '.join(_MANNERS)}, got {like!r}")
    manner = _MANNERS[like]

    def norm() -> Layer:
        return batch_norm(manner.momentum, manner.eps)

    def separable(features: int) -> Layer:
        return separable_conv(features, 3, padding=1, bias=False)

    def block(*features: int, stride: int = 2, first: bool = True) -> Layer:
        """Separable convolutions, relu before each, perhaps not the ``first``; half the size."""
        parts: dict[str, Any] = {}
        for i, n in enumerate(features, start=1):
            if i > 1 or first:
                parts[f"relu{i}"] = relu
            parts |= {f"conv{i}": separable(n), f"bn{i}": norm()}
        if stride == 1:
            return residual(serial(**parts))
        skip = serial(conv=conv(features[-1], 1, stride, padding=0, bias=False), bn=norm())
        return residual(serial(**parts, pool=max_pool(3, stride, manner.padding)), skip)

    return serial(
        conv1=conv(32, 3, 2, padding="valid", bias=False), bn1=norm(), relu1=relu,
        conv2=conv(64, 3, padding="valid", bias=False), bn2=norm(), relu2=relu,
        block1=block(128, 128, first=False), block2=block(256, 256), block3=block(728, 728),
        **{f"block{i}": block(728, 728, 728, stride=1) for i in range(4, 12)},
        block12=block(728, 1024),
        conv3=separable(1536), bn3=norm(), relu3=relu,
        conv4=separable(2048), bn4=norm(), relu4=relu,
        **pooled_head(classes, rate),
    )  # fmt: skip


def _timm() -> Dialect:
    """There, what a block holds has places in a row; depthwise convolutions are called conv1."""
    rules = [
        (r"block(\d+)/skip/conv", r"block\1.skip"),
        (r"block(\d+)/skip/bn", r"block\1.skipbn"),
        (r"(conv[34])/depthwise", r"\1.conv1"),
        (r"(conv[34])/pointwise", r"\1.pointwise"),
        (r"((?:conv|bn)\d)", r"\1"),
        ("head", "fc"),
    ]
    for number in (1, 2, 3):
        for block, place in ((r"1", 3 * number - 3), (r"\d+", 3 * number - 2)):
            rules += [
                (rf"block({block})/body/conv{number}/depthwise", rf"block\1.rep.{place}.conv1"),
                (rf"block({block})/body/conv{number}/pointwise", rf"block\1.rep.{place}.pointwise"),
                (rf"block({block})/body/bn{number}", rf"block\1.rep.{place + 1}"),
            ]
    return Dialect(rules, size=299)


speaks(["xception"], _timm())
