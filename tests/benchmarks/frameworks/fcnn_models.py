"""The models in fcnn: those of the zoo, and what it lacks."""

from fcnn import (
    Layer,
    activation,
    batch_norm,
    concat,
    conv,
    conv_transpose,
    dense,
    depthwise_conv,
    dropout,
    gelu,
    global_avg_pool,
    identity,
    layer_norm,
    max_pool,
    models,
    relu,
    residual,
    serial,
    tanh,
)

from ..cases import CONVNEXT, Case


def convnext(*, classes: int) -> Layer:
    """ConvNeXt (arXiv:2201.03545) without layer scale and stochastic depth."""
    layers = [conv(48, 4, 4, padding="valid"), layer_norm(1e-6)]
    for i, (features, blocks) in enumerate(CONVNEXT):
        if i > 0:
            layers += [layer_norm(1e-6), conv(features, 2, 2, padding="valid")]
        for _ in range(blocks):
            body = serial(
                depthwise_conv(7), layer_norm(1e-6),
                dense(4 * features), activation(gelu, approximate=False), dense(features),
            )  # fmt: skip
            layers.append(residual(body))
    return serial(*layers, global_avg_pool, layer_norm(1e-6), dense(classes))


def twice(features: int) -> Layer:
    """Two 3x3 convolutions with batch norm."""
    one = [conv(features, bias=False), batch_norm(), relu]
    return serial(*one, *one)


def unet(*, classes: int) -> Layer:
    """U-Net (arXiv:1505.04597), padded and with batch norm: built from the bottom up."""
    layer = twice(256)
    for features in (128, 64, 32):
        below = serial(max_pool(2), layer, conv_transpose(features, 2, 2))
        layer = serial(twice(features), concat(identity, below), twice(features))
    return serial(layer, conv(classes, 1))


def dcgan() -> Layer:
    """The generator of DCGAN (arXiv:1511.06434) for pictures of 64x64."""
    layers = [conv_transpose(512, 4, padding="valid", bias=False), batch_norm(), relu]
    for features in (256, 128, 64):
        layers += [conv_transpose(features, 4, 2, bias=False), batch_norm(), relu]
    return serial(*layers, conv_transpose(3, 4, 2, bias=False), tanh)


def conv1d(*, classes: int) -> Layer:
    """Three convolutions over a sequence."""
    layers = []
    for features, kernel in ((32, 7), (64, 5), (128, 3)):
        layers += [conv(features, kernel, bias=False), batch_norm(), relu, max_pool(2)]
    return serial(*layers, global_avg_pool, dropout(0.2), dense(classes))


MODELS = {
    "mnist_cnn": models.mnist_cnn,
    "resnet20": models.resnet20,
    "mobilenet_v2": models.mobilenet_v2,
    "convnext": convnext,
    "unet": unet,
    "dcgan": dcgan,
    "conv1d": conv1d,
    "resnet18": models.resnet18,
}


def build(case: Case) -> Layer:
    make = MODELS[case.model]
    return make(classes=case.classes) if case.classes else make()
