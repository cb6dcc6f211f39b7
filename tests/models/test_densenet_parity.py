"""DenseNet against PyTorch, with the modules of torchvision."""

import numpy as np
import pytest

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes

torch = pytest.importorskip("torch")
nn = torch.nn

SIZES = {  # layers of the blocks, growth
    "densenet121": ((6, 12, 24, 16), 32),
    "densenet161": ((6, 12, 36, 24), 48),
    "densenet169": ((6, 12, 32, 32), 32),
    "densenet201": ((6, 12, 48, 32), 32),
}
X = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)


class DenseLayer(nn.Module):
    def __init__(self, inside, growth):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(torch.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(torch.relu(self.norm2(y)))], 1)


class Transition(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.norm = nn.BatchNorm2d(inside)
        self.conv = nn.Conv2d(inside, inside // 2, 1, bias=False)

    def forward(self, x):
        return nn.functional.avg_pool2d(self.conv(torch.relu(self.norm(x))), 2)


class DenseNet(nn.Module):
    def __init__(self, name, classes=1000):
        super().__init__()
        blocks, growth = SIZES[name]
        inside = 2 * growth
        features = {
            "conv0": nn.Conv2d(3, inside, 7, 2, 3, bias=False),
            "norm0": nn.BatchNorm2d(inside),
            "relu0": nn.ReLU(),
            "pool0": nn.MaxPool2d(3, 2, 1),
        }
        for i, layers in enumerate(blocks, start=1):
            block = nn.Sequential()
            for j in range(1, layers + 1):
                block.add_module(f"denselayer{j}", DenseLayer(inside, growth))
                inside += growth
            features[f"denseblock{i}"] = block
            if i < 4:
                features[f"transition{i}"] = Transition(inside)
                inside //= 2
        features["norm5"] = nn.BatchNorm2d(inside)
        self.features = nn.Sequential()
        for name, module in features.items():
            self.features.add_module(name, module)
        self.classifier = nn.Linear(inside, classes)

    def forward(self, x):
        return self.classifier(torch.relu(self.features(x)).mean((2, 3)))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "densenet121" else pytest.mark.slow) for name in SIZES],
)
def test_a_densenet_computes_what_pytorchs_does(name):
    assert_same_as_torch(name, DenseNet(name, classes=5), X, classes=5)


@pytest.mark.parametrize("name", SIZES)
def test_the_names_kept_are_those_of_pytorch(name):
    with torch.device("meta"):
        module = DenseNet(name)
    assert digest(torch_shapes(module)) == published(name)
