"""EfficientNets against PyTorch, with the modules of torchvision and of timm."""

import math

import jax
import numpy as np
import pytest

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes
from .torch_mobile import ConvNormActivation, SqueezeExcitation, TimmMobile, nn, round8, torch

X = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)

B0_ROWS = [  # expansion, kernel, stride, features, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
]
V2_ROWS = {  # the same; what comes before the bar is fused
    "efficientnet_v2_s": (
        [(1, 3, 1, 24, 2), (4, 3, 2, 48, 4), (4, 3, 2, 64, 4)],
        [(4, 3, 2, 128, 6), (6, 3, 1, 160, 9), (6, 3, 2, 256, 15)],
    ),
    "efficientnet_v2_m": (
        [(1, 3, 1, 24, 3), (4, 3, 2, 48, 5), (4, 3, 2, 80, 5)],
        [(4, 3, 2, 160, 7), (6, 3, 1, 176, 14), (6, 3, 2, 304, 18), (6, 3, 1, 512, 5)],
    ),
    "efficientnet_v2_l": (
        [(1, 3, 1, 32, 4), (4, 3, 2, 64, 7), (4, 3, 2, 96, 7)],
        [(4, 3, 2, 192, 10), (6, 3, 1, 224, 19), (6, 3, 2, 384, 25), (6, 3, 1, 640, 7)],
    ),
}
SCALES = {  # width, depth
    "efficientnet_b0": (1.0, 1.0),
    "efficientnet_b1": (1.0, 1.1),
    "efficientnet_b2": (1.1, 1.2),
    "efficientnet_b3": (1.2, 1.4),
    "efficientnet_b4": (1.4, 1.8),
    "efficientnet_b5": (1.6, 2.2),
    "efficientnet_b6": (1.8, 2.6),
    "efficientnet_b7": (2.0, 3.1),
}
NAMES = [*SCALES, *V2_ROWS]


class Block(nn.Module):
    """``MBConv`` and ``FusedMBConv``."""

    def __init__(self, inside, out, expansion, kernel, stride, eps, fused):
        super().__init__()
        wide, act = round8(inside * expansion), nn.SiLU
        parts = []
        if fused and wide == inside:
            parts = [ConvNormActivation(inside, out, kernel, stride, 1, act, eps)]
        elif fused:
            parts = [ConvNormActivation(inside, wide, kernel, stride, 1, act, eps)]
            parts.append(ConvNormActivation(wide, out, eps=eps))
        else:
            if wide != inside:
                parts.append(ConvNormActivation(inside, wide, act=act, eps=eps))
            parts += [
                ConvNormActivation(wide, wide, kernel, stride, wide, act, eps),
                SqueezeExcitation(wide, max(1, inside // 4), act),
                ConvNormActivation(wide, out, eps=eps),
            ]
        self.block = nn.Sequential(*parts)
        self.skips = stride == 1 and inside == out

    def forward(self, x):
        return x + self.block(x) if self.skips else self.block(x)


class EfficientNet(nn.Module):
    def __init__(self, fused, rows, first, last, eps, classes):
        super().__init__()
        parts, inside = [ConvNormActivation(3, first, 3, 2, 1, nn.SiLU, eps)], first
        for i, (expansion, kernel, stride, out, blocks) in enumerate([*fused, *rows]):
            stage = []
            for j in range(blocks):
                step = stride if j == 0 else 1
                stage.append(Block(inside, out, expansion, kernel, step, eps, i < len(fused)))
                inside = out
            parts.append(nn.Sequential(*stage))
        parts.append(ConvNormActivation(inside, last, 1, 1, 1, nn.SiLU, eps))
        self.features = nn.Sequential(*parts)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


def scaled(name):
    width, depth = SCALES[name]
    return [(*row[:3], round8(row[3] * width), math.ceil(row[4] * depth)) for row in B0_ROWS]


def make(name, classes=1000):
    if name in V2_ROWS:
        fused, rows = V2_ROWS[name]
        return EfficientNet(fused, rows, fused[0][3], 1280, 1e-3, classes)
    rows, first = scaled(name), round8(32 * SCALES[name][0])
    eps = 1e-3 if name[-1] in "567" else 1e-5
    return EfficientNet([], rows, first, 4 * rows[-1][3], eps, classes)


def assert_same(name, module, **options):
    """In float64: with so many blocks, random weights make float32 differ in the third digit."""
    with jax.enable_x64(True):
        x = X.astype(np.float64)
        options |= {"tolerance": 1e-7, "gain": 1.7, "classes": 5}
        assert_same_as_torch(name, module.double(), x, **options)


def test_the_smallest_efficientnet_computes_what_pytorchs_does_in_float32():
    assert_same_as_torch("efficientnet_b0", make("efficientnet_b0", 5), X, classes=5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_efficientnet_computes_what_pytorchs_does(name):
    assert_same(name, make(name, 5))


@pytest.mark.slow
@pytest.mark.parametrize("name", [f"efficientnet_b{i}" for i in range(5)])
def test_an_efficientnet_takes_the_names_of_timm(name):
    rows, first = scaled(name), round8(32 * SCALES[name][0])
    module = TimmMobile(rows, first, 4 * rows[-1][3], nn.SiLU, 5, squeezes=True)
    assert_same(name, module, dialect=1)


@pytest.mark.parametrize("name", NAMES)
def test_the_names_kept_are_those_of_pytorch(name):
    with torch.device("meta"):
        module = make(name)
    assert digest(torch_shapes(module)) == published(name)
