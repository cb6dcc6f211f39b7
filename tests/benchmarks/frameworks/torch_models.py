"""The models in PyTorch, as its users write them; channels first in shape, last in memory."""

import torch
from torch import nn
from torch.nn import functional as F

from ..cases import CONVNEXT, MOBILENET_V2, Case


def mnist_cnn(case: Case) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, case.classes),
    )  # fmt: skip


class Padded(nn.Module):
    """Shortcut A: every second pixel, new channels zero on both sides."""

    def __init__(self, more: int):
        super().__init__()
        self.more = more

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))


def projection(inside: int, out: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))


class BasicBlock(nn.Module):
    def __init__(self, inside: int, out: int, stride: int, skip: nn.Module):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.skip = skip

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.skip(x), inplace=True)


def resnet20(case: Case) -> nn.Module:
    layers = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    inside = 16
    for out in (16, 32, 64):
        for _ in range(3):
            stride = 1 if inside == out else 2
            skip = nn.Identity() if inside == out else Padded(out - inside)
            layers.append(BasicBlock(inside, out, stride, skip))
            inside = out
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, case.classes)]
    return nn.Sequential(*layers, *head)


class Block(nn.Module):
    """The block of MobileNetV2."""

    def __init__(self, inside: int, out: int, stride: int, expansion: int):
        super().__init__()
        width = inside * expansion
        up = [] if expansion == 1 else normed(nn.Conv2d(inside, width, 1, bias=False), relu=True)
        across = nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False)
        down = normed(nn.Conv2d(width, out, 1, bias=False))
        self.body = nn.Sequential(*up, *normed(across, relu=True), *down)
        self.skips = stride == 1 and inside == out

    def forward(self, x):
        return x + self.body(x) if self.skips else self.body(x)


def normed(conv: nn.Module, relu: bool = False) -> list[nn.Module]:
    norm = nn.BatchNorm2d(conv.out_channels)
    return [conv, norm, nn.ReLU6(inplace=True)] if relu else [conv, norm]


def mobilenet_v2(case: Case) -> nn.Module:
    layers, inside = normed(nn.Conv2d(3, 32, 3, 2, 1, bias=False), relu=True), 32
    for out, blocks, stride, expansion in MOBILENET_V2:
        for i in range(blocks):
            layers.append(Block(inside, out, 1 if i else stride, expansion))
            inside = out
    layers += normed(nn.Conv2d(inside, 1280, 1, bias=False), relu=True)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, case.classes)]
    return nn.Sequential(*layers, *head)


class ConvNextBlock(nn.Module):
    def __init__(self, features: int):
        super().__init__()
        self.across = nn.Conv2d(features, features, 7, padding=3, groups=features)
        self.mlp = nn.Sequential(
            nn.LayerNorm(features, eps=1e-6),
            nn.Linear(features, 4 * features), nn.GELU(), nn.Linear(4 * features, features),
        )  # fmt: skip

    def forward(self, x):
        return x + self.mlp(self.across(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PixelNorm(nn.LayerNorm):
    """Layer norm over the channels of a pixel: in channels last the permutation moves nothing."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def convnext(case: Case) -> nn.Module:
    layers, inside = [nn.Conv2d(3, 48, 4, 4), PixelNorm(48, eps=1e-6)], 48
    for features, blocks in CONVNEXT:
        if features != inside:
            layers += [PixelNorm(inside, eps=1e-6), nn.Conv2d(inside, features, 2, 2)]
        layers += [ConvNextBlock(features) for _ in range(blocks)]
        inside = features
    head = [nn.LayerNorm(inside, eps=1e-6), nn.Linear(inside, case.classes)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head)


def twice(inside: int, out: int) -> nn.Module:
    def one(c):
        conv = nn.Conv2d(c, out, 3, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True)]

    return nn.Sequential(*one(inside), *one(out))


class UNet(nn.Module):
    def __init__(self, classes: int):
        super().__init__()
        widths = (32, 64, 128, 256)
        self.down = nn.ModuleList(map(twice, (1, *widths), widths))
        self.wider = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 2, 2) for width in widths[-2::-1]
        )
        self.up = nn.ModuleList(twice(2 * width, width) for width in widths[-2::-1])
        self.head = nn.Conv2d(32, classes, 1)

    def forward(self, x):
        kept = []
        for layer in self.down[:-1]:
            kept.append(layer(x))
            x = F.max_pool2d(kept[-1], 2)
        x = self.down[-1](x)
        for wider, layer in zip(self.wider, self.up, strict=True):
            x = layer(torch.cat([kept.pop(), wider(x)], 1))
        return self.head(x)


def unet(case: Case) -> nn.Module:
    return UNet(case.classes)


def dcgan(case: Case) -> nn.Module:
    layers, inside = [], 100
    for out, stride, padding in ((512, 1, 0), (256, 2, 1), (128, 2, 1), (64, 2, 1)):
        conv = nn.ConvTranspose2d(inside, out, 4, stride, padding, bias=False)
        layers += [conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
        inside = out
    return nn.Sequential(*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh())


def conv1d(case: Case) -> nn.Module:
    layers, inside = [], 8
    for out, kernel in ((32, 7), (64, 5), (128, 3)):
        conv = nn.Conv1d(inside, out, kernel, padding=kernel // 2, bias=False)
        layers += [conv, nn.BatchNorm1d(out), nn.ReLU(inplace=True), nn.MaxPool1d(2)]
        inside = out
    head = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, case.classes)]
    return nn.Sequential(*layers, *head)


def resnet18(case: Case) -> nn.Module:
    layers = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    inside = 64
    for out in (64, 128, 256, 512):
        stride = 1 if inside == out else 2
        skip = nn.Identity() if inside == out else projection(inside, out, stride)
        layers.append(BasicBlock(inside, out, stride, skip))
        layers.append(BasicBlock(out, out, 1, nn.Identity()))
        inside = out
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, case.classes)]
    return nn.Sequential(*layers, *head)


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


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """``[n, ..., c]`` as ``[n, c, ...]``, a view in the layout that PyTorch calls channels last.

    It has none for sequences, which are copied.
    """
    return x.movedim(-1, 1).contiguous() if x.ndim == 3 else x.movedim(-1, 1)
