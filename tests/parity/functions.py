"""The rows of the table that are functions: activations and losses."""

import numpy as np

from fcnn import layers, losses
from fcnn.core import named_after, pure
from fcnn.layers import activation, gelu, leaky_relu, prelu

from . import theirs
from .rows import IMAGE, VECTOR, case, distributions, integers, numbers
from .theirs import function, module


def ours(loss, **options):
    """A loss as a layer of the pair (outputs, targets)."""
    return pure(named_after(loss)(lambda pair: loss(*pair, **options)))


ACTIVATIONS = [
    *(
        case(name, getattr(layers, name), numbers(3, 8, scale=3), function(torch_name, **options))
        for name, torch_name, options in [
            ("relu", "relu", {}),
            ("relu6", "relu6", {}),
            ("leaky_relu", "leaky_relu", {}),
            ("elu", "elu", {}),
            ("celu", "celu", {}),
            ("selu", "selu", {}),
            ("gelu", "gelu", {"approximate": "tanh"}),
            ("silu", "silu", {}),
            ("mish", "mish", {}),
            ("sigmoid", "sigmoid", {}),
            ("log_sigmoid", "logsigmoid", {}),
            ("tanh", "tanh", {}),
            ("softplus", "softplus", {}),
            ("soft_sign", "softsign", {}),
            ("hard_sigmoid", "hardsigmoid", {}),
            ("hard_silu", "hardswish", {}),
            ("hard_tanh", "hardtanh", {}),
            ("softmax", "softmax", {"dim": -1}),
            ("log_softmax", "log_softmax", {"dim": -1}),
            ("glu", "glu", {}),
        ]
    ),
    case(
        "activation, leaky_relu",
        activation(leaky_relu, negative_slope=0.2),
        VECTOR,
        function("leaky_relu", negative_slope=0.2),
    ),
    case("activation, gelu", activation(gelu, approximate=False), VECTOR, function("gelu")),
    case("prelu", prelu(), IMAGE, module("PReLU", 2)),
    case("prelu, shared", prelu(shared=True), IMAGE, module("PReLU")),
]

LOGITS, LABELS, ROWS = numbers(4, 3, scale=2), integers(3, 4), distributions(4, 3)
ANSWERS, OTHERS = integers(2, 4, 3), numbers(4, 3, scale=2)

LOSSES = [
    case(
        "cross_entropy",
        ours(losses.cross_entropy),
        (LOGITS, LABELS),
        theirs.class_loss("cross_entropy"),
    ),
    case(
        "cross_entropy, rows, smoothed",
        ours(losses.cross_entropy, smoothing=0.1),
        (LOGITS, ROWS),
        theirs.class_loss("cross_entropy", label_smoothing=0.1),
    ),
    case(
        "cross_entropy, each pixel, smoothed",
        ours(losses.cross_entropy, smoothing=0.1),
        (numbers(2, 3, 2, 3), integers(3, 2, 3, 2)),
        theirs.class_loss("cross_entropy", label_smoothing=0.1),
    ),
    case("kl_divergence", ours(losses.kl_divergence), (LOGITS, ROWS), theirs.kl_divergence),
    case(
        "binary_cross_entropy",
        ours(losses.binary_cross_entropy),
        (LOGITS, ANSWERS),
        theirs.loss("binary_cross_entropy_with_logits"),
    ),
    case(
        "binary_cross_entropy, weighted",
        ours(losses.binary_cross_entropy, positive_weight=np.float32(3.0)),
        (LOGITS, ANSWERS),
        theirs.weighted_binary_cross_entropy(3.0),
    ),
    case("binary_hinge", ours(losses.binary_hinge), (LOGITS, ANSWERS), theirs.binary_hinge),
    *(
        case(
            name,
            ours(getattr(losses, name), **options),
            (LOGITS, OTHERS),
            theirs.loss(torch_name, **options),
        )
        for name, torch_name, options in [
            ("squared_error", "mse_loss", {}),
            ("absolute_error", "l1_loss", {}),
            ("huber", "huber_loss", {"delta": 0.5}),
        ]
    ),
    case("poisson", ours(losses.poisson), (LOGITS, OTHERS), theirs.loss("poisson_nll_loss")),
    case("cosine", ours(losses.cosine), (LOGITS, OTHERS), theirs.cosine),
]
