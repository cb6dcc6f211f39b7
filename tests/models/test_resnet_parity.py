"""Residual networks against PyTorch: those of torchvision, and those for CIFAR with shortcut A."""

import numpy as np
import pytest

from fcnn import models

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes
from .test_foreign import WEIGHTS

torch = pytest.importorskip("torch")
nn = torch.nn

LARGE = {  # expansion, blocks of the stages, groups, channels of a group at 64 features
    "resnet18": (1, (2, 2, 2, 2), 1, 64),
    "resnet34": (1, (3, 4, 6, 3), 1, 64),
    "resnet50": (4, (3, 4, 6, 3), 1, 64),
    "resnet101": (4, (3, 4, 23, 3), 1, 64),
    "resnet152": (4, (3, 8, 36, 3), 1, 64),
    "resnext50_32x4d": (4, (3, 4, 6, 3), 32, 4),
    "wide_resnet50_2": (4, (3, 4, 6, 3), 1, 128),
}
CIFAR = {"resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9, "resnet110": 18}
QUICK = {"resnet20", "resnet18", "resnet50", "resnext50_32x4d"}


def images(height, width):
    return np.random.default_rng(0).normal(size=(2, height, width, 3)).astype(np.float32)


class Basic(nn.Module):
    def __init__(self, inside, features, stride, shortcut, groups=1, width=64):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, features, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        if shortcut is not None:
            self.downsample = shortcut

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class Bottleneck(nn.Module):
    def __init__(self, inside, features, stride, shortcut, groups, width):
        super().__init__()
        narrow = int(features * (width / 64.0)) * groups
        self.conv1 = nn.Conv2d(inside, narrow, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(narrow)
        self.conv3 = nn.Conv2d(narrow, 4 * features, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * features)
        if shortcut is not None:
            self.downsample = shortcut

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(nn.Module):
    def __init__(self, name, classes=1000):
        super().__init__()
        growth, stages, groups, width = LARGE[name]
        block = Basic if growth == 1 else Bottleneck
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inside = 64
        for i, blocks in enumerate(stages):
            features, row = 64 * 2**i, []
            for j in range(blocks):
                stride, out, shortcut = 2 if i and not j else 1, growth * features, None
                if stride > 1 or inside != out:
                    conv = nn.Conv2d(inside, out, 1, stride, bias=False)
                    shortcut = nn.Sequential(conv, nn.BatchNorm2d(out))
                row.append(block(inside, features, stride, shortcut, groups, width))
                inside = out
            setattr(self, f"layer{i + 1}", nn.Sequential(*row))
        self.fc = nn.Linear(inside, classes)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class Padded(nn.Module):
    """Shortcut A: every second pixel, and channels of zeros on both sides."""

    def forward(self, x):
        more = x.shape[1] // 2
        return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more, more))


class CifarResNet(nn.Module):
    def __init__(self, name, head="linear", classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for i, (inside, out) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
            first = Basic(inside, out, 2 if i > 1 else 1, Padded() if i > 1 else None)
            rest = [Basic(out, out, 1, None) for _ in range(CIFAR[name] - 1)]
            setattr(self, f"layer{i}", nn.Sequential(first, *rest))
        self.head = head
        setattr(self, head, nn.Linear(64, classes))

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return getattr(self, self.head)(x.mean((2, 3)))


def slow_but(quick, names):
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", slow_but(QUICK, LARGE))
def test_a_residual_network_computes_what_pytorchs_does(name):
    assert_same_as_torch(name, ResNet(name, classes=5), images(64, 71), classes=5)


@pytest.mark.parametrize("name", slow_but(QUICK, CIFAR))
def test_a_residual_network_for_cifar_computes_what_pytorchs_does(name):
    assert_same_as_torch(name, CifarResNet(name), images(32, 32))


def test_a_head_that_is_called_fc_fits_too():
    assert_same_as_torch("resnet20", CifarResNet("resnet20", "fc"), images(32, 32), dialect=1)


@pytest.mark.parametrize("name", [*LARGE, *CIFAR])
def test_the_names_kept_are_those_of_pytorch(name):
    with torch.device("meta"):
        module = ResNet(name) if name in LARGE else CifarResNet(name)
    assert digest(torch_shapes(module)) == published(name)


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"no {WEIGHTS}")
def test_published_weights_give_pytorchs_logits():
    theirs = CifarResNet("resnet20")
    stored = torch.load(WEIGHTS, map_location="cpu", weights_only=True)["state_dict"]
    theirs.load_state_dict({key.removeprefix("module."): x for key, x in stored.items()})
    x = images(32, 32)
    with torch.no_grad():
        wanted = theirs.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(models.from_torch("resnet20", WEIGHTS)(x), wanted, atol=1e-4)
