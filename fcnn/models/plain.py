"""Plain networks: convolutions in a row, then three dense layers that hold most of the weights.

Images ``[n, h, w, c]`` to logits ``[n, classes]``. An adaptive pooling before the dense layers
makes images of other sizes fit. With ``classes=0`` a network ends in the 4096 features before the
logits. Padding and stride stand as in torchvision, so that its weights fit.
"""

from typing import Any

from ..core import Layer, serial
from ..layers import adaptive_avg_pool, batch_norm, conv, dense, dropout, flatten, max_pool, relu
from .dialects import Dialect, speaks
from .registry import image_model

# features of the convolutions of each stage, after which the size is halved: table 1 of the paper
_VGG = {
    "vgg11": ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    "vgg13": ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    "vgg16": ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3),
    "vgg19": ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}


@image_model
def alexnet(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """AlexNet for one device (Krizhevsky, 2014, arXiv:1404.5997): 61,100,840 parameters.

    For images from 63x63 on. ``rate`` is that of the dropout before the first two dense layers.
    """
    return serial(
        conv1=conv(64, 11, 4, padding=2), relu1=relu, pool1=max_pool(3, 2),
        conv2=conv(192, 5, padding=2), relu2=relu, pool2=max_pool(3, 2),
        conv3=conv(384, 3, padding=1), relu3=relu,
        conv4=conv(256, 3, padding=1), relu4=relu,
        conv5=conv(256, 3, padding=1), relu5=relu, pool3=max_pool(3, 2),
        pool_all=adaptive_avg_pool(6), flatten=flatten,
        dropout1=dropout(rate), dense1=dense(4096), relu6=relu,
        dropout2=dropout(rate), dense2=dense(4096), relu7=relu,
        **({"head": dense(classes)} if classes else {}),
    )  # fmt: skip


def _vgg(name: str, classes: int, rate: float, norm: bool = False) -> Layer:
    """Stages of 3x3 convolutions, parted by poolings."""
    stages = {}
    for i, stage in enumerate(_VGG[name], start=1):
        parts: dict[str, Any] = {}
        for j, features in enumerate(stage, start=1):
            parts[f"conv{j}"] = conv(features, 3, padding=1)
            if norm:
                parts[f"bn{j}"] = batch_norm()
            parts[f"relu{j}"] = relu
        stages[f"stage{i}"] = serial(**parts, pool=max_pool(2))
    return serial(
        **stages,
        pool_all=adaptive_avg_pool(7), flatten=flatten,
        dense1=dense(4096), relu1=relu, dropout1=dropout(rate),
        dense2=dense(4096), relu2=relu,
        **({"dropout2": dropout(rate), "head": dense(classes)} if classes else {}),
    )  # fmt: skip


@image_model
def vgg11(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """VGG-11 (Simonyan and Zisserman, 2015, arXiv:1409.1556): 132,863,336 parameters.

    For images from 32x32 on. ``rate`` is that of the dropout after the first two dense layers.
    """
    return _vgg("vgg11", classes, rate)


@image_model
def vgg13(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """VGG-13: 133,047,848 parameters."""
    return _vgg("vgg13", classes, rate)


@image_model
def vgg16(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """VGG-16: 138,357,544 parameters."""
    return _vgg("vgg16", classes, rate)


@image_model
def vgg19(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """VGG-19: 143,667,240 parameters."""
    return _vgg("vgg19", classes, rate)


@image_model
def vgg11_bn(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """VGG-11 with batch norm after each convolution: 132,868,840 parameters."""
    return _vgg("vgg11", classes, rate, norm=True)


@image_model
def vgg13_bn(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """VGG-13 with batch norm: 133,053,736 parameters."""
    return _vgg("vgg13", classes, rate, norm=True)


@image_model
def vgg16_bn(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """VGG-16 with batch norm: 138,365,992 parameters."""
    return _vgg("vgg16", classes, rate, norm=True)


@image_model
def vgg19_bn(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """VGG-19 with batch norm: 143,678,248 parameters."""
    return _vgg("vgg19", classes, rate, norm=True)


def _places(name: str, norm: bool) -> list[tuple[str, str]]:
    """The convolutions and norms by their places in the one long row that there is there."""
    rules, place = [], 0
    for i, stage in enumerate(_VGG[name], start=1):
        for j, _ in enumerate(stage, start=1):
            rules.append((f"stage{i}/conv{j}", f"features.{place}"))
            if norm:
                rules.append((f"stage{i}/bn{j}", f"features.{place + 1}"))
            place += 3 if norm else 2
        place += 1
    return rules


_CLASSIFIER = [("dense1", "classifier.0"), ("dense2", "classifier.3"), ("head", "classifier.6")]
_TIMM = [("dense1", "pre_logits.fc1"), ("dense2", "pre_logits.fc2"), ("head", "head.fc")]
for _name in _VGG:
    for _norm in (False, True):
        _rules = _places(_name, _norm)
        speaks(
            [f"{_name}_bn" if _norm else _name],
            Dialect([*_rules, *_CLASSIFIER], {"dense1": (7, 7, 512)}),
            Dialect([*_rules, *_TIMM], {"dense1": (7, 7, 512)}),
        )

_ALEXNET = {
    "conv1": "features.0", "conv2": "features.3", "conv3": "features.6", "conv4": "features.8",
    "conv5": "features.10", "dense1": "classifier.1", "dense2": "classifier.4",
    "head": "classifier.6",
}  # fmt: skip
speaks(["alexnet"], Dialect([*_ALEXNET.items()], {"dense1": (6, 6, 256)}))
