"""Small classic networks, and those of the tutorials that everybody begins with.

All take images ``[n, h, w, c]`` and return logits ``[n, classes]``; ``mlp`` takes any shape.
"""

from collections.abc import Sequence

from ..core import Layer, serial
from ..layers import avg_pool, conv, dense, dropout, flatten, max_pool, relu, tanh
from .registry import image_model, model


@image_model
def small_cnn(*, classes: int = 10, width: int = 32) -> Layer:
    """Two convolutions and a linear head, for images from 4x4 on: the network of the first page.

    Padding keeps the size, so it fits wherever two 2x2 poolings do.
    """
    return serial(
        conv(width, 3), relu, max_pool(2),
        conv(2 * width, 3), relu, max_pool(2),
        flatten, dense(classes),
    )  # fmt: skip


@model
def mlp(*, classes: int = 10, hidden: Sequence[int] = (100,), rate: float = 0.0) -> Layer:
    """A multi-layer perceptron on flattened inputs, with dropout where ``rate`` is above zero."""
    layers: list = [flatten]
    for features in hidden:
        layers += [dense(features), relu]
        if rate > 0:
            layers.append(dropout(rate))
    return serial(*layers, dense(classes))


@image_model
def lenet5(*, classes: int = 10) -> Layer:
    """LeNet-5 as it is built today (LeCun et al., 1998, doi:10.1109/5.726791): 61,706 parameters.

    For 28x28 images, which the first convolution pads to 32x32, or for 32x32 ones; tanh and average
    pooling as in the paper, without its sparse connections and radial basis outputs.
    """
    return serial(
        conv(6, 5), tanh, avg_pool(2),
        conv(16, 5, padding="valid"), tanh, avg_pool(2),
        flatten, dense(120), tanh, dense(84), tanh, dense(classes),
    )  # fmt: skip


@image_model
def mnist_cnn(*, classes: int = 10, rate: float = 0.5) -> Layer:
    """The usual first network for MNIST: 93,322 parameters on ``[n, 28, 28, 1]``.

    ``rate`` is that of the dropout between the convolutions and the dense layers.
    """
    return serial(
        conv(32, 3, padding="valid"), relu, max_pool(2),
        conv(64, 3, padding="valid"), relu, max_pool(2),
        conv(64, 3, padding="valid"), relu,
        flatten, dropout(rate), dense(64), relu, dense(classes),
    )  # fmt: skip


@image_model
def guide_cnn(*, classes: int = 10) -> Layer:
    """The usual first network for colour pictures: 1,626,442 parameters on ``[n, 64, 64, 3]``."""
    return serial(
        conv(32, 3, padding="valid"), relu, max_pool(2),
        conv(64, 3, padding="valid"), relu, max_pool(2),
        flatten, dense(128), relu, dense(classes),
    )  # fmt: skip
