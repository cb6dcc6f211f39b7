"""Parts of mobile networks in PyTorch, with the names of torchvision and of timm."""

import math

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn


def round8(channels):
    """To a multiple of 8, not below nine tenths."""
    rounded = max(8, math.floor(channels / 8 + 0.5) * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class ConvNormActivation(nn.Sequential):
    """Of torchvision: 0 is the convolution, 1 the norm."""

    def __init__(self, inside, out, kernel=1, stride=1, groups=1, act=None, eps=1e-5):
        parts = [
            nn.Conv2d(inside, out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
            nn.BatchNorm2d(out, eps),
        ]
        super().__init__(*parts, *([act()] if act else []))


class SqueezeExcitation(nn.Module):
    """Of torchvision."""

    def __init__(self, channels, squeezed, act=nn.ReLU, gate=nn.Sigmoid):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.act, self.gate = act(), gate()

    def forward(self, x):
        return x * self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))))


class TimmSqueezeExcite(nn.Module):
    def __init__(self, channels, squeezed):
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, squeezed, 1)
        self.conv_expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        y = nn.functional.silu(self.conv_reduce(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.conv_expand(y))


class TimmSeparable(nn.Module):
    """timm's block where nothing widens."""

    def __init__(self, inside, out, kernel, stride, act, squeezed=0):
        super().__init__()
        self.conv_dw = nn.Conv2d(
            inside, inside, kernel, stride, kernel // 2, groups=inside, bias=False
        )
        self.bn1 = nn.BatchNorm2d(inside)
        self.se = TimmSqueezeExcite(inside, squeezed) if squeezed else nn.Identity()
        self.conv_pw = nn.Conv2d(inside, out, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.act, self.skips = act(), stride == 1 and inside == out

    def forward(self, x):
        y = self.se(self.act(self.bn1(self.conv_dw(x))))
        y = self.bn2(self.conv_pw(y))
        return x + y if self.skips else y


class TimmInverted(nn.Module):
    def __init__(self, inside, out, kernel, stride, act, squeezed=0, expansion=6):
        super().__init__()
        wide = inside * expansion
        self.conv_pw = nn.Conv2d(inside, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv_dw = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.se = TimmSqueezeExcite(wide, squeezed) if squeezed else nn.Identity()
        self.conv_pwl = nn.Conv2d(wide, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.act, self.skips = act(), stride == 1 and inside == out

    def forward(self, x):
        y = self.act(self.bn1(self.conv_pw(x)))
        y = self.se(self.act(self.bn2(self.conv_dw(y))))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.skips else y


class TimmMobile(nn.Module):
    """``mobilenetv2_100`` or, with squeezing, ``efficientnet_b*`` of timm.

    Args:
        rows: (expansion, kernel, stride, features, blocks) of each stage.
    """

    def __init__(self, rows, first, last, act, classes, *, squeezes=False):
        super().__init__()
        self.conv_stem = nn.Conv2d(3, first, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        inside, stages = first, []
        for expansion, kernel, stride, out, blocks in rows:
            stage = []
            for i in range(blocks):
                options = (inside, out, kernel, stride if i == 0 else 1, act)
                squeezed = inside // 4 if squeezes else 0
                block = TimmSeparable if expansion == 1 else TimmInverted
                stage.append(block(*options, squeezed))
                inside = out
            stages.append(nn.Sequential(*stage))
        self.blocks = nn.Sequential(*stages)
        self.conv_head = nn.Conv2d(inside, last, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(last)
        self.classifier = nn.Linear(last, classes)
        self.act = act()

    def forward(self, x):
        x = self.blocks(self.act(self.bn1(self.conv_stem(x))))
        return self.classifier(self.act(self.bn2(self.conv_head(x))).mean((2, 3)))
