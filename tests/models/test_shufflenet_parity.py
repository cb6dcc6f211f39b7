"""ShuffleNetV2 against PyTorch, with the modules of torchvision."""

import numpy as np
import pytest

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes

torch = pytest.importorskip("torch")
nn = torch.nn

WIDTHS = {
    "shufflenet_v2_x0_5": (48, 96, 192, 1024),
    "shufflenet_v2_x1_0": (116, 232, 464, 1024),
    "shufflenet_v2_x1_5": (176, 352, 704, 1024),
    "shufflenet_v2_x2_0": (244, 488, 976, 2048),
}
X = np.random.default_rng(0).normal(size=(2, 64, 96, 3)).astype(np.float32)


def pointwise(inside, out):
    return [nn.Conv2d(inside, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]


def depthwise(channels, stride):
    conv = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
    return [conv, nn.BatchNorm2d(channels)]


class Unit(nn.Module):
    def __init__(self, inside, out, stride):
        super().__init__()
        half, self.splits = out // 2, stride == 1
        entry = half if self.splits else inside
        beside = [] if self.splits else [*depthwise(inside, stride), *pointwise(inside, half)]
        self.branch1 = nn.Sequential(*beside)
        through = [*pointwise(entry, half), *depthwise(half, stride), *pointwise(half, half)]
        self.branch2 = nn.Sequential(*through)

    def forward(self, x):
        left, right = x.tensor_split(2, 1) if self.splits else (x, x)
        y = torch.cat([self.branch1(left), self.branch2(right)], 1)
        n, c, h, w = y.shape
        return y.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class ShuffleNetV2(nn.Module):
    def __init__(self, name, classes=1000):
        super().__init__()
        *widths, last = WIDTHS[name]
        conv = nn.Conv2d(3, 24, 3, 2, 1, bias=False)
        self.conv1 = nn.Sequential(conv, nn.BatchNorm2d(24), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inside = 24
        for i, (out, units) in enumerate(zip(widths, (4, 8, 4), strict=True), start=2):
            rest = [Unit(out, out, 1) for _ in range(units - 1)]
            setattr(self, f"stage{i}", nn.Sequential(Unit(inside, out, 2), *rest))
            inside = out
        self.conv5 = nn.Sequential(*pointwise(inside, last))
        self.fc = nn.Linear(last, classes)

    def forward(self, x):
        x = self.maxpool(self.conv1(x))
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if "0_5" in name else pytest.mark.slow) for name in WIDTHS],
)
def test_a_shufflenet_computes_what_pytorchs_does(name):
    assert_same_as_torch(name, ShuffleNetV2(name, classes=5), X, classes=5)


@pytest.mark.parametrize("name", WIDTHS)
def test_the_names_kept_are_those_of_pytorch(name):
    with torch.device("meta"):
        module = ShuffleNetV2(name)
    assert digest(torch_shapes(module)) == published(name)
