"""SqueezeNet against PyTorch, with the modules of torchvision."""

import numpy as np
import pytest

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes

torch = pytest.importorskip("torch")
nn = torch.nn

X = np.random.default_rng(0).normal(size=(2, 67, 70, 3)).astype(np.float32)  # poolings round up
NAMES = ["squeezenet1_0", "squeezenet1_1"]


class Fire(nn.Module):
    def __init__(self, inside, squeezed, each):
        super().__init__()
        self.squeeze = nn.Conv2d(inside, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, each, 1)
        self.expand3x3 = nn.Conv2d(squeezed, each, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class SqueezeNet(nn.Module):
    def __init__(self, name, classes=1000):
        super().__init__()

        def pool():
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        if name == "squeezenet1_0":
            features = [
                nn.Conv2d(3, 96, 7, 2), nn.ReLU(), pool(),
                Fire(96, 16, 64), Fire(128, 16, 64), Fire(128, 32, 128), pool(),
                Fire(256, 32, 128), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256),
                pool(), Fire(512, 64, 256),
            ]  # fmt: skip
        else:
            features = [
                nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(),
                Fire(64, 16, 64), Fire(128, 16, 64), pool(),
                Fire(128, 32, 128), Fire(256, 32, 128), pool(),
                Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
            ]  # fmt: skip
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Conv2d(512, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x):
        return torch.flatten(self.classifier(self.features(x)), 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_squeezenet_computes_what_pytorchs_does(name):
    assert_same_as_torch(name, SqueezeNet(name, classes=5), X, classes=5)


@pytest.mark.parametrize("name", NAMES)
def test_the_names_kept_are_those_of_pytorch(name):
    with torch.device("meta"):
        module = SqueezeNet(name)
    assert digest(torch_shapes(module)) == published(name)
