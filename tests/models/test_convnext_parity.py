"""ConvNeXt against PyTorch, with the modules of torchvision and of timm."""

import numpy as np
import pytest

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes

torch = pytest.importorskip("torch")
nn = torch.nn

SIZES = {  # widths, blocks
    "convnext_tiny": ((96, 192, 384, 768), (3, 3, 9, 3)),
    "convnext_small": ((96, 192, 384, 768), (3, 3, 27, 3)),
    "convnext_base": ((128, 256, 512, 1024), (3, 3, 27, 3)),
    "convnext_v2_tiny": ((96, 192, 384, 768), (3, 3, 9, 3)),
}
FIRST = [name for name in SIZES if "v2" not in name]
X = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)


class Norm2d(nn.LayerNorm):
    """Over the channels of images [n, c, h, w]."""

    def __init__(self, channels):
        super().__init__(channels, 1e-6)

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Move(nn.Module):
    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.movedim(*self.axes)


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            Move(1, -1),
            nn.LayerNorm(channels, 1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            Move(-1, 1),
        )
        self.layer_scale = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x):
        return x + self.layer_scale * self.block(x)


class ConvNeXt(nn.Module):
    def __init__(self, name, classes=1000):
        super().__init__()
        widths, depths = SIZES[name]
        parts = [nn.Sequential(nn.Conv2d(3, widths[0], 4, 4), Norm2d(widths[0]))]
        for i, (width, blocks) in enumerate(zip(widths, depths, strict=True)):
            if i:
                before = widths[i - 1]
                parts.append(nn.Sequential(Norm2d(before), nn.Conv2d(before, width, 2, 2)))
            parts.append(nn.Sequential(*(Block(width) for _ in range(blocks))))
        self.features = nn.Sequential(*parts)
        norm, head = Norm2d(widths[-1]), nn.Linear(widths[-1], classes)
        self.classifier = nn.Sequential(norm, nn.Flatten(1), head)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3), keepdim=True))


class Responses(nn.Module):
    """Global response normalization of images [n, h, w, c]."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        norm = x.square().sum((1, 2), keepdim=True).sqrt()
        return x + self.weight * x * norm / (norm.mean(-1, keepdim=True) + 1e-6) + self.bias


class TimmMlp(nn.Module):
    def __init__(self, channels, responses):
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.grn = Responses(4 * channels) if responses else nn.Identity()
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x):
        return self.fc2(self.grn(self.act(self.fc1(x))))


class TimmBlock(nn.Module):
    def __init__(self, channels, responses):
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, 1e-6)
        self.mlp = TimmMlp(channels, responses)
        self.gamma = None if responses else nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        y = self.mlp(self.norm(self.conv_dw(x).movedim(1, -1)))
        return x + (y if self.gamma is None else y * self.gamma).movedim(-1, 1)


class TimmStage(nn.Module):
    def __init__(self, before, width, blocks, responses):
        super().__init__()
        down = nn.Identity()
        if before != width:
            down = nn.Sequential(Norm2d(before), nn.Conv2d(before, width, 2, 2))
        self.downsample = down
        self.blocks = nn.Sequential(*(TimmBlock(width, responses) for _ in range(blocks)))

    def forward(self, x):
        return self.blocks(self.downsample(x))


class TimmConvNeXt(nn.Module):
    def __init__(self, name, classes=1000):
        super().__init__()
        (before, *_), responses = SIZES[name][0], "v2" in name
        self.stem = nn.Sequential(nn.Conv2d(3, before, 4, 4), Norm2d(before))
        self.stages = nn.Sequential()
        for i, (width, blocks) in enumerate(zip(*SIZES[name], strict=True)):
            self.stages.add_module(str(i), TimmStage(before, width, blocks, responses))
            before = width
        self.head = nn.Sequential()
        self.head.add_module("norm", nn.LayerNorm(before, 1e-6))
        self.head.add_module("fc", nn.Linear(before, classes))

    def forward(self, x):
        return self.head(self.stages(self.stem(x)).mean((2, 3)))


def quickly(name):
    return pytest.param(name, marks=() if name.endswith("tiny") else pytest.mark.slow)


@pytest.mark.parametrize("name", [*map(quickly, FIRST)])
def test_a_convnext_computes_what_pytorchs_does(name):
    assert_same_as_torch(name, ConvNeXt(name, classes=5), X, classes=5)


def test_a_convnext_of_the_second_version_computes_what_pytorchs_does():
    name = "convnext_v2_tiny"
    assert_same_as_torch(name, TimmConvNeXt(name, classes=5), X, classes=5)


@pytest.mark.slow
@pytest.mark.parametrize("name", FIRST)
def test_a_convnext_takes_the_names_of_timm(name):
    assert_same_as_torch(name, TimmConvNeXt(name, classes=5), X, dialect=1, classes=5)


@pytest.mark.parametrize("name", SIZES)
def test_the_names_kept_are_those_of_pytorch(name):
    with torch.device("meta"):
        module = (ConvNeXt if name in FIRST else TimmConvNeXt)(name)
    assert digest(torch_shapes(module)) == published(name)
