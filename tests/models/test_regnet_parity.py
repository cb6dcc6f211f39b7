"""RegNets against PyTorch, with the modules of torchvision and of timm."""

import math

import numpy as np
import pytest

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes
from .torch_mobile import ConvNormActivation, SqueezeExcitation, nn, torch

X = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
LINES = {  # depth, first width, slope, step, width of a group, whether it squeezes: of the paper
    "regnet_x_400mf": (22, 24, 24.48, 2.54, 16, False),
    "regnet_y_400mf": (16, 48, 27.89, 2.09, 8, True),
}


def stages(name):
    """[(width, blocks)] from the line of the paper: widths rounded to steps, to 8, to groups."""
    depth, start, slope, step, group, _ = LINES[name]
    widths = []
    for i in range(depth):
        power = round(math.log((start + slope * i) / start) / math.log(step))
        width = round(start * step**power / 8) * 8
        widths.append(max(group, int(width + group / 2) // group * group))
    return [(width, widths.count(width)) for width in sorted(set(widths))]


class Block(nn.Module):
    def __init__(self, inside, out, stride, group, squeezes):
        super().__init__()
        act = nn.ReLU
        self.f = nn.Sequential()
        self.f.add_module("a", ConvNormActivation(inside, out, act=act))
        self.f.add_module("b", ConvNormActivation(out, out, 3, stride, out // group, act))
        if squeezes:
            self.f.add_module("se", SqueezeExcitation(out, round(0.25 * inside)))
        self.f.add_module("c", ConvNormActivation(out, out))
        self.proj = None
        if stride > 1 or inside != out:
            self.proj = ConvNormActivation(inside, out, 1, stride)

    def forward(self, x):
        return torch.relu(self.f(x) + (x if self.proj is None else self.proj(x)))


class RegNet(nn.Module):
    def __init__(self, name, classes=1000):
        super().__init__()
        *_, group, squeezes = LINES[name]
        self.stem = ConvNormActivation(3, 32, 3, 2, act=nn.ReLU)
        self.trunk_output, inside = nn.Sequential(), 32
        for i, (width, blocks) in enumerate(stages(name), start=1):
            stage = nn.Sequential()
            for j in range(blocks):
                block = Block(inside, width, 2 if j == 0 else 1, group, squeezes)
                stage.add_module(f"block{i}-{j}", block)
                inside = width
            self.trunk_output.add_module(f"block{i}", stage)
        self.fc = nn.Linear(inside, classes)

    def forward(self, x):
        return self.fc(self.trunk_output(self.stem(x)).mean((2, 3)))


class TimmConvNorm(nn.Module):
    def __init__(self, *options, **named):
        super().__init__()
        conv, bn, *act = ConvNormActivation(*options, **named)
        self.conv, self.bn, self.act = conv, bn, nn.Sequential(*act)

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class TimmBlock(nn.Module):
    def __init__(self, inside, out, stride, group, squeezes):
        super().__init__()
        act = nn.ReLU
        self.conv1 = TimmConvNorm(inside, out, act=act)
        self.conv2 = TimmConvNorm(out, out, 3, stride, out // group, act)
        self.se = SqueezeExcitation(out, round(0.25 * inside)) if squeezes else nn.Identity()
        self.conv3 = TimmConvNorm(out, out)
        changes = stride > 1 or inside != out
        self.downsample = TimmConvNorm(inside, out, 1, stride) if changes else nn.Identity()

    def forward(self, x):
        return torch.relu(self.conv3(self.se(self.conv2(self.conv1(x)))) + self.downsample(x))


class TimmRegNet(nn.Module):
    def __init__(self, name, classes=1000):
        super().__init__()
        *_, group, squeezes = LINES[name]
        self.stem, inside = TimmConvNorm(3, 32, 3, 2, act=nn.ReLU), 32
        for i, (width, blocks) in enumerate(stages(name), start=1):
            stage = nn.Sequential()
            for j in range(1, blocks + 1):
                block = TimmBlock(inside, width, 2 if j == 1 else 1, group, squeezes)
                stage.add_module(f"b{j}", block)
                inside = width
            setattr(self, f"s{i}", stage)
        self.head = nn.Sequential()
        self.head.add_module("fc", nn.Linear(inside, classes))

    def forward(self, x):
        x = self.s4(self.s3(self.s2(self.s1(self.stem(x)))))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("name", LINES)
def test_a_regnet_computes_what_pytorchs_does(name):
    assert_same_as_torch(name, RegNet(name, classes=5), X, classes=5)


@pytest.mark.slow
@pytest.mark.parametrize("name", LINES)
def test_a_regnet_takes_the_names_of_timm(name):
    assert_same_as_torch(name, TimmRegNet(name, classes=5), X, dialect=1, classes=5)


@pytest.mark.parametrize("name", LINES)
def test_the_names_kept_are_those_of_pytorch(name):
    with torch.device("meta"):
        module = RegNet(name)
    assert digest(torch_shapes(module)) == published(name)
