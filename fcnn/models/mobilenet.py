"""Networks for small devices: depthwise convolutions between thin layers.

Images ``[n, h, w, c]`` to logits ``[n, classes]``. Padding and stride stand as in torchvision, so
that its weights fit.
"""

from ..core import Layer, serial, wire
from ..layers import batch_norm, conv, dense, depthwise_conv, dropout, global_avg_pool, relu6
from .registry import image_model


def inverted_block(inside: int, features: int, stride: int = 1, expansion: int = 6) -> Layer:
    """1x1 up to ``expansion`` times the channels, depthwise 3x3, 1x1 down; no activation last.

    ``[n, h, w, inside] -> [n, ceil(h / stride), ceil(w / stride), features]``, with a skip where
    the shape stays. With an expansion of 1 the first convolution is left out.
    """

    def forward(f, x):
        y = relu6(f.bn1(f.conv1(x))) if expansion > 1 else x
        y = relu6(f.bn2(f.conv2(y)))
        y = f.bn3(f.conv3(y))
        return x + y if stride == 1 and inside == features else y

    first = {"conv1": conv(expansion * inside, 1, bias=False), "bn1": batch_norm()}
    return wire(
        forward,
        **(first if expansion > 1 else {}),
        conv2=depthwise_conv(3, stride, padding=1, bias=False), bn2=batch_norm(),
        conv3=conv(features, 1, bias=False), bn3=batch_norm(),
    )  # fmt: skip


def _stage(inside: int, features: int, blocks: int, stride: int, expansion: int) -> Layer:
    """Blocks in a row; the first changes size and width."""
    first = inverted_block(inside, features, stride, expansion)
    rest = {f"block{i}": inverted_block(features, features) for i in range(2, blocks + 1)}
    return serial(block1=first, **rest)


@image_model
def mobilenet_v2(*, classes: int = 1000, rate: float = 0.2) -> Layer:
    """MobileNetV2 (Sandler et al., 2018, arXiv:1801.04381): 3,504,872 parameters.

    ``rate`` is that of the dropout before the head.
    """
    stages, inside = {}, 32
    table = [  # features, blocks, stride, expansion: table 2 of the paper
        (16, 1, 1, 1), (24, 2, 2, 6), (32, 3, 2, 6), (64, 4, 2, 6),
        (96, 3, 1, 6), (160, 3, 2, 6), (320, 1, 1, 6),
    ]  # fmt: skip
    for i, (features, blocks, stride, expansion) in enumerate(table, start=1):
        stages[f"stage{i}"] = _stage(inside, features, blocks, stride, expansion)
        inside = features
    return serial(
        conv1=conv(32, 3, 2, padding=1, bias=False), bn1=batch_norm(), relu1=relu6,
        **stages,
        conv2=conv(1280, 1, bias=False), bn2=batch_norm(), relu2=relu6,
        pool_all=global_avg_pool, dropout=dropout(rate), head=dense(classes),
    )  # fmt: skip
