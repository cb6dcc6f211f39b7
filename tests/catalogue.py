"""One table of every layer, in several forms. ``test_contract.py`` holds each row to the protocol.

A new layer or model is a new row, and a row is all it needs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fcnn import models
from fcnn.core import (
    Layer,
    cast,
    concat,
    frozen,
    identity,
    lazy,
    parallel,
    registered,
    remat,
    repeat,
    residual,
    serial,
    stateless,
    up_to,
    wire,
)
from fcnn.layers import (
    activation,
    adaptive_avg_pool,
    adaptive_max_pool,
    alpha_dropout,
    attention,
    avg_pool,
    batch_norm,
    blur_pool,
    conv,
    conv_transpose,
    crop,
    dense,
    depthwise_conv,
    drop_path,
    dropout,
    embedding,
    flatten,
    gaussian_dropout,
    gaussian_noise,
    gelu,
    global_avg_pool,
    global_max_pool,
    global_response_norm,
    group_norm,
    gru,
    instance_norm,
    layer_norm,
    layer_scale,
    leaky_relu,
    local_response_norm,
    log_mel,
    lstm,
    max_pool,
    normalize,
    pixel_shuffle,
    pixel_unshuffle,
    prelu,
    relu,
    rescale,
    reshape,
    resize,
    rms_norm,
    separable_conv,
    silu,
    spatial_dropout,
    spectrogram,
    squeeze_excite,
    weight_standardized,
    zero_pad,
)
from fcnn.study import committee, opinions


class Row(NamedTuple):
    """A layer by name, how it is made, and the shapes and dtypes that it is made for."""

    name: str
    make: Callable[[], Layer]
    input: Any
    keeps_dtype: bool = True  # the output has the floating dtype of the input
    noisy: bool = False  # draws noise in training, and so needs a key


def _voter():
    return serial(global_avg_pool, dense(5))


def batch(*shape: int, dtype: str = "float32") -> jax.ShapeDtypeStruct:
    """Three examples."""
    return jax.ShapeDtypeStruct((3, *shape), dtype)


VECTOR, SEQUENCE, IMAGE, VOLUME = batch(4), batch(6, 4), batch(6, 6, 4), batch(4, 4, 4, 4)


def pictures(side: int, channels: int) -> jax.ShapeDtypeStruct:
    return batch(side, side, channels)


PIXELS, WORDS = batch(6, 6, 4, dtype="uint8"), batch(6, dtype="int32")
SOUND = batch(40)


def shortcut(features):
    return lazy(lambda x: identity if x.shape[-1] == features else conv(features, 1))


def block(features, rate=0.2):
    """A residual block, wired by hand: state, randomness and a child that is called twice."""

    def forward(f, x):
        y = f.drop(relu(f.bn(f.conv(x))))
        return relu(f.bn(f.again(f.again(y))) + f.skip(x))

    return wire(
        forward,
        conv=conv(features),
        bn=batch_norm(),
        drop=dropout(rate),
        again=conv(features),
        skip=shortcut(features),
    )


def centred(initial=0.5):
    """A layer of two plain functions, as a user writes it."""

    def init(key, x):
        return {"scale": jnp.full(x.shape[-1], initial, jnp.float32)}

    def apply(params, x):
        return x - params["scale"].astype(x.dtype)

    return stateless(init, apply)


def activations():
    """Every registered function that comes from ``jax.nn`` or ``jax.numpy``."""
    functions = registered("function").values()
    return [fn for fn in functions if not fn.__module__.startswith("fcnn")]


CORE = [
    Row("serial", lambda: serial(conv(4), batch_norm(), relu, flatten, head=dense(5)), IMAGE),
    Row("parallel", lambda: parallel(conv(4), dense(3)), (IMAGE, VECTOR)),
    Row("residual", lambda: residual(conv(4)), IMAGE),
    Row("residual, projected", lambda: residual(conv(5, 3, 2), conv(5, 1, 2)), IMAGE),
    Row("concat", lambda: concat(conv(4), identity, pooled=max_pool(3, 1, "same")), IMAGE),
    Row("concat, another axis", lambda: concat(identity, relu, axis=1), IMAGE),
    Row("committee", lambda: committee(_voter(), _voter(), weights=(1, 3)), IMAGE),
    Row("committee of numbers", lambda: committee(_voter(), _voter(), output="identity"), IMAGE),
    Row("opinions", lambda: opinions(_voter(), _voter()), IMAGE),
    Row("lazy", lambda: serial(shortcut(4), shortcut(5)), IMAGE),
    Row("wire", lambda: block(5), IMAGE, noisy=True),
    Row("stateless", centred, IMAGE),
    Row(
        "repeat",
        lambda: repeat(residual(serial(dense(4), batch_norm(), dropout(0.2))), 3),
        VECTOR,
        noisy=True,
    ),
    Row("remat", lambda: remat(serial(conv(4), batch_norm(), relu)), IMAGE),
    Row("frozen", lambda: frozen(serial(conv(4), batch_norm(), dropout(0.2))), IMAGE),
    Row("cast", lambda: cast("float16"), IMAGE, keeps_dtype=False),
    Row(
        "cast, there and back",
        lambda: serial(cast("bfloat16"), conv(4), batch_norm(), cast("float32")),
        IMAGE,
        keeps_dtype=False,
    ),
]

LINEAR = [
    Row("dense", lambda: dense(5), VECTOR),
    Row("dense, each pixel, no bias", lambda: dense(5, bias=False), IMAGE),
    Row("conv", lambda: conv(5), IMAGE),
    Row("conv, 1-D", lambda: conv(5, 3, 2), SEQUENCE),
    Row("conv, 3-D", lambda: conv(2, 2, padding=1), VOLUME),
    Row("conv, strided, valid", lambda: conv(5, (3, 2), (2, 1), padding="valid"), IMAGE),
    Row("conv, dilated", lambda: conv(5, dilation=2, padding_mode="circular"), IMAGE),
    Row("conv, groups", lambda: conv(6, groups=2, bias=False, kernel_init=("normal", 0.1)), IMAGE),
    Row("conv, pointwise, torch's values", lambda: conv(5, 1, kernel_init="torch"), IMAGE),
    Row("conv_transpose", lambda: conv_transpose(3, 3, 2), IMAGE),
    Row("conv_transpose, 1-D", lambda: conv_transpose(3, 4, 2, padding=1), SEQUENCE),
    Row("conv_transpose, groups", lambda: conv_transpose(4, 2, 2, groups=2), IMAGE),
    Row("depthwise_conv", lambda: depthwise_conv(), IMAGE),
    Row("depthwise_conv, multiplied", lambda: depthwise_conv(3, 2, multiplier=2), IMAGE),
    Row("separable_conv", lambda: separable_conv(5), IMAGE),
]

SPACE = [
    Row("max_pool", lambda: max_pool(2), IMAGE),
    Row("max_pool, 1-D", lambda: max_pool(2), SEQUENCE),
    Row("max_pool, 3-D", lambda: max_pool(2), VOLUME),
    Row("max_pool, overlapping, ceil", lambda: max_pool(3, 2, ceil=True), IMAGE),
    Row("avg_pool", lambda: avg_pool(2), IMAGE),
    Row("avg_pool, same", lambda: avg_pool(3, 2, "same"), IMAGE),
    Row("avg_pool, counted", lambda: avg_pool(3, 2, 1, count_padding=True), IMAGE),
    Row("adaptive_avg_pool", lambda: adaptive_avg_pool(4), IMAGE),
    Row("adaptive_max_pool", lambda: adaptive_max_pool((4, 1)), IMAGE),
    Row("blur_pool", lambda: blur_pool(), IMAGE),
    Row("global pools", lambda: concat(global_avg_pool, global_max_pool), IMAGE),
    Row("resize", lambda: resize(scale=2), IMAGE),
    Row("resize, bilinear", lambda: resize((4, 9), method="bilinear"), IMAGE),
    Row("resize, bicubic", lambda: resize(9, method="bicubic", align_corners=True), IMAGE),
    Row("pixel_shuffle", lambda: pixel_shuffle(2), IMAGE),
    Row("pixel_unshuffle", lambda: pixel_unshuffle(2), IMAGE),
    Row("flatten", lambda: serial(flatten), IMAGE),
    Row("reshape", lambda: reshape(-1, 8), IMAGE),
    Row("zero_pad", lambda: zero_pad((1, (0, 2))), IMAGE),
    Row("crop", lambda: crop((1, (0, 2))), IMAGE),
]

NORMALIZATION = [
    Row("batch_norm", lambda: batch_norm(), IMAGE),
    Row("batch_norm, vectors", lambda: batch_norm(0.5, scale=False, unbiased=False), VECTOR),
    Row("layer_norm", lambda: layer_norm(), IMAGE),
    Row("group_norm", lambda: group_norm(2), IMAGE),
    Row("group_norm, vectors", lambda: group_norm(2, bias=False), VECTOR),
    Row("instance_norm", lambda: instance_norm(), VOLUME),
    Row("rms_norm", lambda: rms_norm(), SEQUENCE),
    Row("local_response_norm", lambda: local_response_norm(3, alpha=0.1), IMAGE),
    Row("global_response_norm", lambda: global_response_norm(), IMAGE),
]

NOISE = [
    Row("dropout", lambda: dropout(0.5), IMAGE, noisy=True),
    Row("dropout, none", lambda: dropout(0.0), IMAGE),
    Row("spatial_dropout", lambda: spatial_dropout(0.5), IMAGE, noisy=True),
    Row("drop_path", lambda: drop_path(0.5), IMAGE, noisy=True),
    Row("alpha_dropout", lambda: alpha_dropout(0.5), VECTOR, noisy=True),
    Row("gaussian_dropout", lambda: gaussian_dropout(0.5), VECTOR, noisy=True),
    Row("gaussian_noise", lambda: gaussian_noise(0.5), VECTOR, noisy=True),
]

OTHERS = [
    Row("squeeze_excite", lambda: squeeze_excite(2), IMAGE),
    Row("squeeze_excite, silu", lambda: squeeze_excite(features=3, activation=silu), SEQUENCE),
    Row(
        "weight_standardized",
        lambda: weight_standardized(serial(conv(4), group_norm(2), relu, head=dense(3))),
        IMAGE,
    ),
    Row("layer_scale", lambda: layer_scale(0.1), IMAGE),
    Row("lstm", lambda: lstm(3), SEQUENCE),
    Row("lstm, sequences, reverse", lambda: lstm(3, sequences=True, reverse=True), SEQUENCE),
    Row("gru", lambda: gru(3), SEQUENCE),
    Row("gru, sequences", lambda: gru(3, sequences=True), SEQUENCE),
    Row("attention", lambda: attention(2), SEQUENCE),
    Row(
        "attention, causal, dropped",
        lambda: attention(2, causal=True, rate=0.2),
        SEQUENCE,
        noisy=True,
    ),
    Row("attention, across", lambda: attention(2, features=6), (SEQUENCE, batch(5, 3))),
    Row("embedding", lambda: embedding(10, 4), WORDS),
    Row("embedding, read", lambda: serial(embedding(10, 4), gru(3)), WORDS),
    Row("normalize", lambda: normalize((1, 2, 3, 4), 2.0), IMAGE),
    Row("normalize, pixels", lambda: normalize(127.5, (60, 61, 62, 63)), PIXELS),
    Row("rescale", lambda: rescale(2, -1), IMAGE),
    Row("rescale, pixels", lambda: rescale(1 / 255), PIXELS),
    Row("spectrogram", lambda: spectrogram(16), SOUND),
    Row("spectrogram, power", lambda: spectrogram(12, 5, floor=None, padding="same"), SOUND),
    Row("log_mel", lambda: log_mel(400, bands=3), SOUND),
    Row(
        "log_mel, slaney",
        lambda: log_mel(400, bands=4, low=20, scale="slaney", equal_area=True, padding=((3, 5),)),
        SOUND,
    ),
    Row("activations", lambda: concat(*activations()), VECTOR),
    Row("activation", lambda: activation(leaky_relu, negative_slope=0.2), IMAGE),
    Row("activation, named option", lambda: activation(gelu, approximate=False), IMAGE),
    Row("prelu", lambda: prelu(), IMAGE),
    Row("prelu, shared", lambda: prelu(0.1, shared=True), VECTOR),
]


LAYERS = [*CORE, *LINEAR, *SPACE, *NORMALIZATION, *NOISE, *OTHERS]

MODELS = [
    Row("up_to", lambda: up_to(serial(dense(4), out=dense(3)), "dense1"), IMAGE),
    Row("mlp", lambda: models.mlp(classes=3, hidden=(6, 5), rate=0.1), IMAGE, noisy=True),
    Row("small_cnn", lambda: models.small_cnn(classes=3, width=4), IMAGE),
    Row("lenet5", lambda: models.lenet5(classes=3), pictures(12, 1)),
    Row("mnist_cnn", lambda: models.mnist_cnn(classes=3), pictures(18, 1), noisy=True),
    Row("guide_cnn", lambda: models.guide_cnn(classes=3), pictures(10, 3)),
    Row("resnet20", lambda: models.resnet20(classes=3), pictures(8, 3)),
    Row(
        "mlp_mixer",
        lambda: models.mlp_mixer(classes=3, patch=4, width=8, depth=2),
        pictures(8, 3),
    ),
    Row(
        "sentence_cnn",
        lambda: models.sentence_cnn(classes=3, vocabulary=10, features=4, filters=5),
        WORDS,
        noisy=True,
    ),
    Row(
        "audio_cnn",
        lambda: models.audio_cnn(classes=3, sample_rate=8000, bands=12, width=4),
        batch(2000),
        noisy=True,
    ),
    Row("resnet18", lambda: models.resnet18(classes=3, stem="small"), pictures(8, 3)),
    Row("unet, small", lambda: models.unet(classes=3, width=2, depth=2), pictures(8, 3)),
]
SLOW_MODELS = [
    Row("mobilenet_v2", lambda: models.mobilenet_v2(classes=3), pictures(32, 3), noisy=True),
    Row("mobilenet_v1", lambda: models.mobilenet_v1(classes=3), pictures(32, 3), noisy=True),
    Row(
        "mobilenet_v3_small",
        lambda: models.mobilenet_v3_small(classes=3),
        pictures(32, 3),
        noisy=True,
    ),
    Row(
        "mobilenet_v3_large",
        lambda: models.mobilenet_v3_large(classes=3),
        pictures(32, 3),
        noisy=True,
    ),
    Row("shufflenet_v2_x0_5", lambda: models.shufflenet_v2_x0_5(classes=3), pictures(32, 3)),
    Row("efficientnet_b0", lambda: models.efficientnet_b0(classes=3), pictures(32, 3), noisy=True),
    Row(
        "efficientnet_v2_s",
        lambda: models.efficientnet_v2_s(classes=3),
        pictures(32, 3),
        noisy=True,
    ),
    Row("regnet_y_400mf", lambda: models.regnet_y_400mf(classes=3), pictures(32, 3)),
    Row("convnext_tiny", lambda: models.convnext_tiny(classes=3), pictures(32, 3), noisy=True),
    Row("convnext_v2_tiny", lambda: models.convnext_v2_tiny(classes=3), pictures(32, 3)),
    Row("vit_tiny", lambda: models.vit_tiny(classes=3), pictures(32, 3)),
    Row("resnet32", lambda: models.resnet32(classes=3), pictures(8, 3)),
    Row("resnet44", lambda: models.resnet44(classes=3), pictures(8, 3)),
    Row("resnet56", lambda: models.resnet56(classes=3), pictures(8, 3)),
    Row("resnet110", lambda: models.resnet110(classes=3), pictures(8, 3)),
    Row("resnet34", lambda: models.resnet34(classes=3), pictures(32, 3)),
    Row("resnet50", lambda: models.resnet50(classes=3), pictures(64, 3)),
    Row("resnet101", lambda: models.resnet101(classes=3), pictures(64, 3)),
    Row("resnet152", lambda: models.resnet152(classes=3), pictures(64, 3)),
    Row("resnext50_32x4d", lambda: models.resnext50_32x4d(classes=3), pictures(64, 3)),
    Row("wide_resnet50_2", lambda: models.wide_resnet50_2(classes=3), pictures(64, 3)),
    Row("alexnet", lambda: models.alexnet(classes=3), pictures(63, 3), noisy=True),
    Row("vgg11_bn", lambda: models.vgg11_bn(classes=3), pictures(32, 3), noisy=True),
    Row("squeezenet1_1", lambda: models.squeezenet1_1(classes=3), pictures(32, 3), noisy=True),
    Row("densenet121", lambda: models.densenet121(classes=3), pictures(32, 3)),
    Row("googlenet", lambda: models.googlenet(classes=3), pictures(32, 3), noisy=True),
    Row("inception_v3", lambda: models.inception_v3(classes=3), pictures(75, 3), noisy=True),
    Row("xception", lambda: models.xception(classes=3), pictures(32, 3)),
    Row("unet", lambda: models.unet(classes=3, width=8), pictures(16, 3)),
]  # deep: compiled for minutes

ROWS = [*LAYERS, *MODELS]
