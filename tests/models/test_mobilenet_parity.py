"""MobileNets against PyTorch, with the modules of torchvision, of timm and of Keras."""

import numpy as np
import pytest

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes
from .torch_mobile import ConvNormActivation, SqueezeExcitation, TimmMobile, nn, round8, torch

X = np.random.default_rng(0).normal(size=(2, 64, 96, 3)).astype(np.float32)

V2_ROWS = [  # expansion, kernel, stride, features, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 3, 2, 32, 3),
    (6, 3, 2, 64, 4),
    (6, 3, 1, 96, 3),
    (6, 3, 2, 160, 3),
    (6, 3, 1, 320, 1),
]
V3_ROWS = {  # input, kernel, wide, features, squeezes, activation, stride
    "mobilenet_v3_large": (
        (16, 3, 16, 16, False, nn.ReLU, 1),
        (16, 3, 64, 24, False, nn.ReLU, 2),
        (24, 3, 72, 24, False, nn.ReLU, 1),
        (24, 5, 72, 40, True, nn.ReLU, 2),
        (40, 5, 120, 40, True, nn.ReLU, 1),
        (40, 5, 120, 40, True, nn.ReLU, 1),
        (40, 3, 240, 80, False, nn.Hardswish, 2),
        (80, 3, 200, 80, False, nn.Hardswish, 1),
        (80, 3, 184, 80, False, nn.Hardswish, 1),
        (80, 3, 184, 80, False, nn.Hardswish, 1),
        (80, 3, 480, 112, True, nn.Hardswish, 1),
        (112, 3, 672, 112, True, nn.Hardswish, 1),
        (112, 5, 672, 160, True, nn.Hardswish, 2),
        (160, 5, 960, 160, True, nn.Hardswish, 1),
        (160, 5, 960, 160, True, nn.Hardswish, 1),
    ),
    "mobilenet_v3_small": (
        (16, 3, 16, 16, True, nn.ReLU, 2),
        (16, 3, 72, 24, False, nn.ReLU, 2),
        (24, 3, 88, 24, False, nn.ReLU, 1),
        (24, 5, 96, 40, True, nn.Hardswish, 2),
        (40, 5, 240, 40, True, nn.Hardswish, 1),
        (40, 5, 240, 40, True, nn.Hardswish, 1),
        (40, 5, 120, 48, True, nn.Hardswish, 1),
        (48, 5, 144, 48, True, nn.Hardswish, 1),
        (48, 5, 288, 96, True, nn.Hardswish, 2),
        (96, 5, 576, 96, True, nn.Hardswish, 1),
        (96, 5, 576, 96, True, nn.Hardswish, 1),
    ),
}


class MobileNet(nn.Module):
    """As Keras builds it, with the names of its layers."""

    def __init__(self, classes=1000, width=1.0):
        super().__init__()
        self.rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
        self.rows += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
        inside = int(32 * width)
        self.conv1 = nn.Conv2d(3, inside, 3, 2, bias=False)
        self.conv1_bn = nn.BatchNorm2d(inside, 1e-3)
        for i, (out, stride) in enumerate(self.rows, start=1):
            out = int(out * width)
            deep = nn.Conv2d(inside, inside, 3, stride, groups=inside, bias=False)
            self.add_module(f"conv_dw_{i}", deep)
            self.add_module(f"conv_dw_{i}_bn", nn.BatchNorm2d(inside, 1e-3))
            self.add_module(f"conv_pw_{i}", nn.Conv2d(inside, out, 1, bias=False))
            self.add_module(f"conv_pw_{i}_bn", nn.BatchNorm2d(out, 1e-3))
            inside = out
        self.conv_preds = nn.Conv2d(inside, classes, 1)

    def step(self, name, x):
        relu6 = nn.functional.relu6
        return relu6(self.get_submodule(f"{name}_bn")(self.get_submodule(name)(x)))

    def forward(self, x):
        pad = nn.functional.pad
        x = self.step("conv1", pad(x, (0, 1, 0, 1)))  # what "same" means for even sizes
        for i, (_, stride) in enumerate(self.rows, start=1):
            x = pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
            x = self.step(f"conv_pw_{i}", self.step(f"conv_dw_{i}", x))
        return self.conv_preds(x.mean((2, 3), keepdim=True)).flatten(1)


class V2Block(nn.Module):
    def __init__(self, inside, out, stride, expansion):
        super().__init__()
        wide, parts = inside * expansion, []
        if expansion != 1:
            parts.append(ConvNormActivation(inside, wide, act=nn.ReLU6))
        parts.append(ConvNormActivation(wide, wide, 3, stride, wide, nn.ReLU6))
        parts += [nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out)]
        self.conv = nn.Sequential(*parts)
        self.skips = stride == 1 and inside == out

    def forward(self, x):
        return x + self.conv(x) if self.skips else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, classes=1000, width=1.0):
        super().__init__()
        inside, last = round8(32 * width), round8(1280 * max(1.0, width))
        parts = [ConvNormActivation(3, inside, 3, 2, act=nn.ReLU6)]
        for expansion, _, stride, out, blocks in V2_ROWS:
            out = round8(out * width)
            for i in range(blocks):
                parts.append(V2Block(inside, out, stride if i == 0 else 1, expansion))
                inside = out
        parts.append(ConvNormActivation(inside, last, act=nn.ReLU6))
        self.features = nn.Sequential(*parts)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class V3Block(nn.Module):
    def __init__(self, inside, kernel, wide, out, squeezes, act, stride):
        super().__init__()
        parts = [ConvNormActivation(inside, wide, act=act, eps=1e-3)] if wide != inside else []
        parts.append(ConvNormActivation(wide, wide, kernel, stride, wide, act, 1e-3))
        if squeezes:
            parts.append(SqueezeExcitation(wide, round8(wide // 4), gate=nn.Hardsigmoid))
        parts.append(ConvNormActivation(wide, out, eps=1e-3))
        self.block = nn.Sequential(*parts)
        self.skips = stride == 1 and inside == out

    def forward(self, x):
        return x + self.block(x) if self.skips else self.block(x)


class MobileNetV3(nn.Module):
    def __init__(self, name, classes=1000, width=1.0):
        super().__init__()

        def widths(inside, kernel, wide, out, *rest):
            inside, wide, out = (round8(width * n) for n in (inside, wide, out))
            return inside, kernel, wide, out, *rest

        rows = [widths(*row) for row in V3_ROWS[name]]
        before, hidden = rows[-1][3], round8(width * (1024 if name.endswith("small") else 1280))
        first = ConvNormActivation(3, rows[0][0], 3, 2, act=nn.Hardswish, eps=1e-3)
        last = ConvNormActivation(before, 6 * before, act=nn.Hardswish, eps=1e-3)
        self.features = nn.Sequential(first, *(V3Block(*row) for row in rows), last)
        head = nn.Linear(6 * before, hidden), nn.Hardswish(), nn.Dropout(0.2)
        self.classifier = nn.Sequential(*head, nn.Linear(hidden, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


MAKE = {
    "mobilenet_v1": MobileNet,
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v3_small": lambda *args: MobileNetV3("mobilenet_v3_small", *args),
    "mobilenet_v3_large": lambda *args: MobileNetV3("mobilenet_v3_large", *args),
}


@pytest.mark.parametrize("name", MAKE)
def test_a_mobilenet_computes_what_pytorchs_does(name):
    assert_same_as_torch(name, MAKE[name](5), X, classes=5)


@pytest.mark.slow
@pytest.mark.parametrize("width", [0.35, 1.4])
@pytest.mark.parametrize("name", MAKE)
def test_a_narrow_or_wide_mobilenet_computes_what_pytorchs_does(name, width):
    assert_same_as_torch(name, MAKE[name](5, width), X, classes=5, width=width)


def test_mobilenet_v2_takes_the_names_of_timm():
    module = TimmMobile(V2_ROWS, 32, 1280, nn.ReLU6, 5)
    assert_same_as_torch("mobilenet_v2", module, X, dialect=1, classes=5)


@pytest.mark.parametrize("name", MAKE)
def test_the_names_kept_are_those_of_pytorch(name):
    with torch.device("meta"):
        module = MAKE[name]()
    assert digest(torch_shapes(module)) == published(name)
