"""The models in Keras, by its functional interface."""

import keras
from keras import layers as L
from keras import ops

from ..cases import CONVNEXT, MOBILENET_V2, Case


def mnist_cnn(case: Case, x):
    for features in (32, 64):
        x = L.MaxPooling2D(2)(L.Conv2D(features, 3, activation="relu")(x))
    x = L.Dropout(0.5)(L.Flatten()(L.Conv2D(64, 3, activation="relu")(x)))
    return L.Dense(case.classes)(L.Dense(64, activation="relu")(x))


def normed(x, conv, activation="linear"):
    return L.Activation(activation)(L.BatchNormalization(momentum=0.9, epsilon=1e-5)(conv(x)))


def plain(features, kernel, stride=1):
    return L.Conv2D(features, kernel, stride, padding="same", use_bias=False)


def basic_block(x, features, stride, skip):
    y = normed(x, plain(features, 3, stride), "relu")
    y = normed(y, plain(features, 3))
    return ops.relu(y + skip(x))


def resnet20(case: Case, x):
    x = normed(x, plain(16, 3), "relu")
    for features in (16, 32, 64):
        for _ in range(3):
            more = (features - x.shape[-1]) // 2

            def padded(x, more=more):
                return ops.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (more, more)))

            stride, skip = (2, padded) if more else (1, lambda x: x)
            x = basic_block(x, features, stride, skip)
    return L.Dense(case.classes)(L.GlobalAveragePooling2D()(x))


def mobilenet_v2(case: Case, x):
    x = normed(x, plain(32, 3, 2), "relu6")
    for features, blocks, stride, expansion in MOBILENET_V2:
        for i in range(blocks):
            y, inside, step = x, x.shape[-1], 1 if i else stride
            if expansion > 1:
                y = normed(y, plain(expansion * inside, 1), "relu6")
            across = L.DepthwiseConv2D(3, step, padding="same", use_bias=False)
            y = normed(normed(y, across, "relu6"), plain(features, 1))
            x = x + y if step == 1 and inside == features else y
    x = L.GlobalAveragePooling2D()(normed(x, plain(1280, 1), "relu6"))
    return L.Dense(case.classes)(L.Dropout(0.2)(x))


def convnext(case: Case, x):
    x = L.LayerNormalization(epsilon=1e-6)(L.Conv2D(48, 4, 4)(x))
    for i, (features, blocks) in enumerate(CONVNEXT):
        if i > 0:
            x = L.Conv2D(features, 2, 2)(L.LayerNormalization(epsilon=1e-6)(x))
        for _ in range(blocks):
            y = L.DepthwiseConv2D(7, padding="same")(x)
            y = L.Dense(4 * features, activation="gelu")(L.LayerNormalization(epsilon=1e-6)(y))
            x = x + L.Dense(features)(y)
    x = L.LayerNormalization(epsilon=1e-6)(L.GlobalAveragePooling2D()(x))
    return L.Dense(case.classes)(x)


def twice(x, features):
    return normed(normed(x, plain(features, 3), "relu"), plain(features, 3), "relu")


def unet(case: Case, x):
    kept, widths = [], (32, 64, 128)
    for features in widths:
        kept.append(twice(x, features))
        x = L.MaxPooling2D(2)(kept[-1])
    x = twice(x, 256)
    for features in reversed(widths):
        x = L.Concatenate()([kept.pop(), L.Conv2DTranspose(features, 2, 2)(x)])
        x = twice(x, features)
    return L.Conv2D(case.classes, 1)(x)


def dcgan(case: Case, x):
    x = normed(x, L.Conv2DTranspose(512, 4, use_bias=False), "relu")
    for features in (256, 128, 64):
        up = L.Conv2DTranspose(features, 4, 2, padding="same", use_bias=False)
        x = normed(x, up, "relu")
    return L.Conv2DTranspose(3, 4, 2, padding="same", use_bias=False, activation="tanh")(x)


def conv1d(case: Case, x):
    for features, kernel in ((32, 7), (64, 5), (128, 3)):
        conv = L.Conv1D(features, kernel, padding="same", use_bias=False)
        x = L.MaxPooling1D(2)(normed(x, conv, "relu"))
    return L.Dense(case.classes)(L.Dropout(0.2)(L.GlobalAveragePooling1D()(x)))


def resnet18(case: Case, x):
    x = normed(x, plain(64, 7, 2), "relu")
    x = L.MaxPooling2D(3, 2, padding="same")(x)
    for features in (64, 128, 256, 512):
        for i in range(2):
            stride = 2 if features > 64 and i == 0 else 1

            def projected(x, features=features):
                return normed(x, plain(features, 1, 2))

            x = basic_block(x, features, stride, projected if stride > 1 else lambda x: x)
    return L.Dense(case.classes)(L.GlobalAveragePooling2D()(x))


MODELS = {
    "mnist_cnn": mnist_cnn,
    "resnet20": resnet20,
    "mobilenet_v2": mobilenet_v2,
    "convnext": convnext,
    "unet": unet,
    "dcgan": dcgan,
    "conv1d": conv1d,
    "resnet18": resnet18,
}


def build(case: Case) -> keras.Model:
    x = keras.Input(case.shape[1:])
    y = MODELS[case.model](case, x)
    return keras.Model(x, L.Activation("linear", dtype="float32")(y))


def count(model: keras.Model) -> int:
    return sum(int(ops.size(variable)) for variable in model.trainable_variables)
