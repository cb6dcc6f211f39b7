"""Xception against PyTorch, with the modules of timm."""

import numpy as np
import pytest

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes

torch = pytest.importorskip("torch")
nn = torch.nn


class Separable(nn.Module):
    def __init__(self, inside, out):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, inside, 3, 1, 1, groups=inside, bias=False)
        self.pointwise = nn.Conv2d(inside, out, 1, bias=False)

    def forward(self, x):
        return self.pointwise(self.conv1(x))


def norm(features, like):
    return nn.BatchNorm2d(features, eps={"timm": 1e-5, "keras": 1e-3}[like])


class SamePool(nn.Module):
    """Pooling 3x3 in steps of two as TensorFlow pads it: more at the end."""

    def forward(self, x):
        (top, bottom), (left, right) = (
            divmod(max((-(-side // 2) - 1) * 2 + 3 - side, 0), 2) for side in x.shape[2:]
        )
        pads = (left, left + right, top, top + bottom)
        return nn.functional.max_pool2d(nn.functional.pad(x, pads, value=-torch.inf), 3, 2)


class Block(nn.Module):
    def __init__(self, inside, out, repeats, stride, like, *, first=True, grow=True):
        super().__init__()
        self.skip = None
        if inside != out or stride != 1:
            self.skip = nn.Conv2d(inside, out, 1, stride, bias=False)
            self.skipbn = norm(out, like)
        parts = []
        for i in range(repeats):
            before = inside if i == 0 or not grow else out
            after = out if grow or i == repeats - 1 else inside
            if i or first:
                parts.append(nn.ReLU())
            parts += [Separable(before, after), norm(after, like)]
        if stride != 1:
            parts.append(nn.MaxPool2d(3, stride, 1) if like == "timm" else SamePool())
        self.rep = nn.Sequential(*parts)

    def forward(self, x):
        return self.rep(x) + (x if self.skip is None else self.skipbn(self.skip(x)))


class Xception(nn.Module):
    def __init__(self, classes=1000, like="timm"):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, 2, bias=False)
        self.bn1 = norm(32, like)
        self.conv2 = nn.Conv2d(32, 64, 3, bias=False)
        self.bn2 = norm(64, like)
        self.block1 = Block(64, 128, 2, 2, like, first=False)
        self.block2 = Block(128, 256, 2, 2, like)
        self.block3 = Block(256, 728, 2, 2, like)
        for i in range(4, 12):
            setattr(self, f"block{i}", Block(728, 728, 3, 1, like))
        self.block12 = Block(728, 1024, 2, 2, like, grow=False)
        self.conv3 = Separable(1024, 1536)
        self.bn3 = norm(1536, like)
        self.conv4 = Separable(1536, 2048)
        self.bn4 = norm(2048, like)
        self.fc = nn.Linear(2048, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        for i in range(1, 13):
            x = getattr(self, f"block{i}")(x)
        x = torch.relu(self.bn3(self.conv3(x)))
        return self.fc(torch.relu(self.bn4(self.conv4(x))).mean((2, 3)))


@pytest.mark.parametrize("like", ["timm", "keras"])
def test_xception_computes_what_pytorchs_does(like):
    x = np.random.default_rng(0).normal(size=(2, 75, 91, 3)).astype(np.float32)
    assert_same_as_torch("xception", Xception(5, like), x, classes=5, like=like)


def test_the_names_kept_are_those_of_pytorch():
    with torch.device("meta"):
        module = Xception()
    assert digest(torch_shapes(module)) == published("xception")
