"""One table of everything that PyTorch computes as well: our layer, its inputs, torch's layer.

A row is ``Case(name, ours, inputs, theirs)``. Its name begins with the name of the constructor or
function that it is about. ``make_goldens.py`` writes what torch says; ``test_goldens.py`` holds our
layers to it, with or without torch.
"""

from fcnn.core import Layer
from fcnn.layers import (
    adaptive_avg_pool,
    adaptive_max_pool,
    attention,
    avg_pool,
    batch_norm,
    conv,
    conv_transpose,
    crop,
    dense,
    depthwise_conv,
    embedding,
    flatten,
    global_avg_pool,
    global_max_pool,
    global_response_norm,
    group_norm,
    gru,
    instance_norm,
    layer_norm,
    local_response_norm,
    lstm,
    max_pool,
    pixel_shuffle,
    pixel_unshuffle,
    reshape,
    resize,
    rms_norm,
    separable_conv,
    squeeze_excite,
    weight_standardized,
    zero_pad,
)

from . import theirs
from .functions import ACTIVATIONS, LOSSES
from .rows import IMAGE, NARROW, SEQUENCE, VECTOR, VOLUME, WIDE, case, integers, numbers
from .theirs import interpolate, module, padded, recurrent


def in_training(layer):
    """The layer on one batch after another, its state handed on."""

    def apply(params, state, xs, *, train=False, key=None):
        ys = []
        for x in xs:
            y, state = layer.apply(params, state, x, train=True)
            ys.append(y)
        return tuple(ys), state

    return Layer(lambda key, xs: layer.init(key, xs[0]), apply, layer.made_by)


def standardized(run):
    """torch's layer on a kernel standardised as timm does it: a batch norm of its features."""

    def on_standardized(torch, values, x):
        kernel = values["kernel"].movedim(-1, 0)
        rows = torch.nn.functional.batch_norm(
            kernel.flatten(1)[None], None, None, training=True, eps=1e-6
        )
        kernel = rows.reshape(kernel.shape).movedim(0, -1)
        return run(torch, {**values, "kernel": kernel}, x)

    return on_standardized


STEPS = (numbers(2, 3, 3, 2), numbers(2, 3, 3, 2, scale=2), numbers(2, 3, 3, 2))

LINEAR = [
    case("dense", dense(3), VECTOR, module("Linear", 4, 3)),
    case("dense, each pixel", dense(3, bias=False), IMAGE, module("Linear", 2, 3, bias=False)),
    case("conv", conv(3), IMAGE, module("Conv2d", 2, 3, 3, padding="same")),
    case("conv, 1-D", conv(3, 3, 2, padding=1), SEQUENCE, module("Conv1d", 4, 3, 3, 2, padding=1)),
    case("conv, 3-D", conv(3, 2, padding=1), VOLUME, module("Conv3d", 2, 3, 2, padding=1)),
    case(
        "conv, strides",
        conv(3, (3, 2), (2, 1), padding=(1, 0)),
        IMAGE,
        module("Conv2d", 2, 3, (3, 2), (2, 1), padding=(1, 0)),
    ),
    case("conv, valid", conv(3, padding="valid"), IMAGE, module("Conv2d", 2, 3, 3)),
    case("conv, pointwise", conv(3, 1, bias=False), IMAGE, module("Conv2d", 2, 3, 1, bias=False)),
    case("conv, pointwise, strided", conv(3, 1, 2), IMAGE, module("Conv2d", 2, 3, 1, 2)),
    case(
        "conv, dilated",
        conv(3, 3, dilation=2, padding=2),
        IMAGE,
        module("Conv2d", 2, 3, 3, dilation=2, padding=2),
    ),
    case(
        "conv, 3-D, dilated, same",
        conv(1, 3, dilation=(1, 2, 1)),
        VOLUME,
        module("Conv3d", 2, 1, 3, dilation=(1, 2, 1), padding="same"),
    ),
    case(
        "conv, groups",
        conv(6, 3, 2, padding=1, groups=2),
        WIDE,
        module("Conv2d", 4, 6, 3, 2, padding=1, groups=2),
    ),
    case(
        "conv, 1-D, groups, dilated",
        conv(2, 3, padding=1, dilation=2, groups=2),
        SEQUENCE,
        module("Conv1d", 4, 2, 3, padding=1, dilation=2, groups=2),
    ),
    *(
        case(
            f"conv, {mode}",
            conv(2, 3, padding=(2, 1), padding_mode=mode),
            IMAGE,
            module("Conv2d", 2, 2, 3, padding=(2, 1), padding_mode=mode),
        )
        for mode in ("reflect", "replicate", "circular")
    ),
    case(
        "conv, 1-D, circular, strided",
        conv(2, 3, 2, padding=2, padding_mode="circular"),
        SEQUENCE,
        module("Conv1d", 4, 2, 3, 2, padding=2, padding_mode="circular"),
    ),
    case(
        "conv, 3-D, replicate",
        conv(2, 3, 2, padding=1, padding_mode="replicate"),
        VOLUME,
        module("Conv3d", 2, 2, 3, 2, padding=1, padding_mode="replicate"),
    ),
    case(
        "conv_transpose",
        conv_transpose(3, 3, 2, padding=1, output_padding=1),
        IMAGE,
        module("ConvTranspose2d", 2, 3, 3, 2, padding=1, output_padding=1),
    ),
    case(
        "conv_transpose, 1-D, same",
        conv_transpose(3, 4, 2),
        SEQUENCE,
        module("ConvTranspose1d", 4, 3, 4, 2, padding=1),
    ),
    case(
        "conv_transpose, 3-D, valid",
        conv_transpose(1, 2, (2, 1, 1), padding="valid", bias=False),
        VOLUME,
        module("ConvTranspose3d", 2, 1, 2, (2, 1, 1), bias=False),
    ),
    case(
        "conv_transpose, groups",
        conv_transpose(2, 3, 2, padding=1, output_padding=(1, 0), groups=2),
        WIDE,
        module("ConvTranspose2d", 4, 2, 3, 2, padding=1, output_padding=(1, 0), groups=2),
    ),
    case(
        "conv_transpose, dilated",
        conv_transpose(2, (3, 2), dilation=2, padding=(2, 1)),
        IMAGE,
        module("ConvTranspose2d", 2, 2, (3, 2), dilation=2, padding=(2, 1)),
    ),
    case(
        "depthwise_conv", depthwise_conv(3), IMAGE, module("Conv2d", 2, 2, 3, padding=1, groups=2)
    ),
    case(
        "depthwise_conv, multiplied",
        depthwise_conv(3, 2, multiplier=2, padding=1),
        IMAGE,
        module("Conv2d", 2, 4, 3, 2, padding=1, groups=2),
    ),
    case(
        "depthwise_conv, 1-D, dilated",
        depthwise_conv(3, dilation=2, padding=2, bias=False),
        SEQUENCE,
        module("Conv1d", 4, 4, 3, dilation=2, padding=2, groups=4, bias=False),
    ),
    case("separable_conv", separable_conv(3), IMAGE, theirs.separable(2, 3, 3, padding=1)),
    case(
        "separable_conv, strided",
        separable_conv(3, 3, 2, padding=1),
        IMAGE,
        theirs.separable(2, 3, 3, 2, padding=1),
    ),
    case(
        "weight_standardized",
        weight_standardized(conv(3)),
        IMAGE,
        standardized(module("Conv2d", 2, 3, 3, padding="same")),
    ),
    case("squeeze_excite", squeeze_excite(2), WIDE, theirs.squeeze_excite),
    case("embedding", embedding(5, 3), integers(5, 2, 6), module("Embedding", 5, 3)),
]

POOLING = [
    case("max_pool", max_pool(2), IMAGE, module("MaxPool2d", 2)),
    case("max_pool, 1-D", max_pool(3, 2, 1), SEQUENCE, module("MaxPool1d", 3, 2, 1)),
    case("max_pool, 3-D", max_pool(2, 1), VOLUME, module("MaxPool3d", 2, 1)),
    case("max_pool, ceil", max_pool(2, ceil=True), NARROW, module("MaxPool2d", 2, ceil_mode=True)),
    case(
        "max_pool, ceil, padded",
        max_pool(3, 2, (1, 0), ceil=True),
        NARROW,
        module("MaxPool2d", 3, 2, (1, 0), ceil_mode=True),
    ),
    case("avg_pool", avg_pool(2), IMAGE, module("AvgPool2d", 2)),
    case(
        "avg_pool, 1-D",
        avg_pool(3, 2, 1, count_padding=True),
        SEQUENCE,
        module("AvgPool1d", 3, 2, 1),
    ),
    case("avg_pool, 3-D", avg_pool(2, 1), VOLUME, module("AvgPool3d", 2, 1)),
    case(
        "avg_pool, padded",
        avg_pool(3, 2, 1),
        NARROW,
        module("AvgPool2d", 3, 2, 1, count_include_pad=False),
    ),
    case(
        "avg_pool, counted",
        avg_pool(3, 2, 1, count_padding=True),
        NARROW,
        module("AvgPool2d", 3, 2, 1),
    ),
    case(
        "avg_pool, ceil",
        avg_pool((4, 2), 2, (1, 0), ceil=True),
        NARROW,
        module("AvgPool2d", (4, 2), 2, (1, 0), ceil_mode=True, count_include_pad=False),
    ),
    case(
        "avg_pool, ceil, counted",
        avg_pool(3, 2, 1, ceil=True, count_padding=True),
        NARROW,
        module("AvgPool2d", 3, 2, 1, ceil_mode=True),
    ),
    case(
        "adaptive_avg_pool", adaptive_avg_pool((4, 2)), NARROW, module("AdaptiveAvgPool2d", (4, 2))
    ),
    case("adaptive_avg_pool, 1-D", adaptive_avg_pool(4), SEQUENCE, module("AdaptiveAvgPool1d", 4)),
    case("adaptive_avg_pool, 3-D", adaptive_avg_pool(2), VOLUME, module("AdaptiveAvgPool3d", 2)),
    case(
        "adaptive_max_pool", adaptive_max_pool((4, 2)), NARROW, module("AdaptiveMaxPool2d", (4, 2))
    ),
    case("adaptive_max_pool, 1-D", adaptive_max_pool(4), SEQUENCE, module("AdaptiveMaxPool1d", 4)),
    case("global_avg_pool", global_avg_pool, IMAGE, lambda torch, values, x: x.mean((1, 2))),
    case("global_max_pool", global_max_pool, IMAGE, lambda torch, values, x: x.amax((1, 2))),
]

NORMALIZATION = [
    case("batch_norm, training", in_training(batch_norm()), STEPS, module("BatchNorm2d", 2)),
    case(
        "batch_norm, training, vectors",
        in_training(batch_norm(0.6, 1e-3)),
        (VECTOR, VECTOR, VECTOR),
        module("BatchNorm1d", 4, eps=1e-3, momentum=0.4),
    ),
    case(
        "batch_norm, training, 3-D",
        in_training(batch_norm(scale=False, bias=False)),
        (VOLUME, VOLUME, VOLUME),
        module("BatchNorm3d", 2, affine=False),
    ),
    case(
        "batch_norm, evaluation",
        batch_norm(),
        IMAGE,
        module("BatchNorm2d", 2, training=False),
    ),
    case("layer_norm", layer_norm(), WIDE, module("LayerNorm", 4)),
    case("layer_norm, no bias", layer_norm(bias=False), VECTOR, module("LayerNorm", 4, bias=False)),
    case("group_norm", group_norm(2), WIDE, module("GroupNorm", 2, 4)),
    case(
        "group_norm, vectors",
        group_norm(2, 1e-3),
        numbers(3, 8),
        module("GroupNorm", 2, 8, eps=1e-3),
    ),
    case("instance_norm", instance_norm(), IMAGE, module("InstanceNorm2d", 2, affine=True)),
    case(
        "instance_norm, 1-D",
        instance_norm(scale=False, bias=False),
        SEQUENCE,
        module("InstanceNorm1d", 4),
    ),
    case("rms_norm", rms_norm(), SEQUENCE, module("RMSNorm", 4, eps=1e-6)),
    case(
        "local_response_norm",
        local_response_norm(3, alpha=0.5),
        WIDE,
        module("LocalResponseNorm", 3, alpha=0.5),
    ),
    case(
        "local_response_norm, even",
        local_response_norm(2, alpha=0.5, beta=0.5, k=2.0),
        WIDE,
        module("LocalResponseNorm", 2, alpha=0.5, beta=0.5, k=2.0),
    ),
    case("global_response_norm", global_response_norm(), IMAGE, theirs.global_response_norm),
]

SEQUENCES = [
    case("lstm", lstm(3), SEQUENCE, recurrent("LSTM", 4, 3)),
    case("lstm, reverse", lstm(3, reverse=True), SEQUENCE, recurrent("LSTM", 4, 3, reverse=True)),
    case(
        "lstm, sequences, reverse",
        lstm(3, sequences=True, reverse=True),
        SEQUENCE,
        recurrent("LSTM", 4, 3, sequences=True, reverse=True),
    ),
    case("gru", gru(3), SEQUENCE, recurrent("GRU", 4, 3)),
    case(
        "gru, sequences",
        gru(3, sequences=True),
        SEQUENCE,
        recurrent("GRU", 4, 3, sequences=True),
    ),
    case(
        "gru, sequences, reverse",
        gru(3, sequences=True, reverse=True),
        SEQUENCE,
        recurrent("GRU", 4, 3, sequences=True, reverse=True),
    ),
    case("attention", attention(2), SEQUENCE, theirs.attention(2)),
    case(
        "attention, causal", attention(2, causal=True), SEQUENCE, theirs.attention(2, causal=True)
    ),
    case("attention, across", attention(2), (SEQUENCE, numbers(2, 5, 3)), theirs.attention(2)),
]

SPACE = [
    case("resize", resize((4, 7)), NARROW, interpolate(size=(4, 7), mode="nearest-exact")),
    case(
        "resize, nearest, scaled",
        resize(scale=2),
        IMAGE,
        interpolate(scale_factor=2, mode="nearest-exact"),
    ),
    *(
        case(
            f"resize, {method}{kind}",
            resize((4, 7), method=method, **options),
            NARROW,
            interpolate(size=(4, 7), mode=method, **{"antialias": True, **options}),
        )
        for method in ("bilinear", "bicubic")
        for kind, options in {
            "": {},
            ", without antialias": {"antialias": False},
            ", corners": {"align_corners": True, "antialias": False},
        }.items()
    ),
    case(
        "resize, 1-D",
        resize(9, method="bilinear"),
        SEQUENCE,
        interpolate(size=9, mode="linear"),
    ),
    case(
        "resize, 3-D",
        resize((5, 6, 2), method="bilinear", antialias=False),
        VOLUME,
        interpolate(size=(5, 6, 2), mode="trilinear"),
    ),
    case("pixel_shuffle", pixel_shuffle(2), numbers(2, 3, 2, 8), module("PixelShuffle", 2)),
    case("pixel_unshuffle", pixel_unshuffle(2), numbers(2, 4, 6, 2), module("PixelUnshuffle", 2)),
    case("zero_pad", zero_pad(((1, 0), (2, 1))), IMAGE, padded(2, 1, 1, 0)),
    case("crop", crop(((1, 0), (1, 2))), IMAGE, padded(-1, -2, -1, 0)),
    case("flatten", flatten, IMAGE, lambda torch, values, x: x.flatten(1)),
    case("reshape", reshape(-1, 8), IMAGE, lambda torch, values, x: x.reshape(len(x), -1, 8)),
]

CASES = [*LINEAR, *POOLING, *NORMALIZATION, *SEQUENCES, *SPACE, *ACTIVATIONS, *LOSSES]
