"""AlexNet and VGG against PyTorch, with the modules of torchvision."""

import numpy as np
import pytest

from fcnn import models

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes

torch = pytest.importorskip("torch")
nn = torch.nn

CHANNELS = {
    "vgg11": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "vgg13": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}
X = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)


class Plain(nn.Module):
    def __init__(self, features, side, classifier):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(side)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


@pytest.mark.slow  # a file of 228 MB
def test_the_flattened_features_of_a_file_are_in_our_order(tmp_path):
    theirs = alexnet(5).eval()
    torch.save(theirs.state_dict(), tmp_path / "alexnet.pth")
    found = models.from_torch("alexnet", tmp_path / "alexnet.pth", classes=5)
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(X.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(found(X), wanted, atol=1e-4)


def alexnet(classes=1000):
    features = [
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    ]  # fmt: skip
    classifier = [
        nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(),
        nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, classes),
    ]  # fmt: skip
    return Plain(features, 6, classifier)


def vgg(name, classes=1000):
    features, inside = [], 3
    for word in CHANNELS[name.removesuffix("_bn")].split():
        if word == "M":
            features.append(nn.MaxPool2d(2, 2))
            continue
        features.append(nn.Conv2d(inside, int(word), 3, padding=1))
        inside = int(word)
        if name.endswith("_bn"):
            features.append(nn.BatchNorm2d(inside))
        features.append(nn.ReLU())
    classifier = [
        nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, classes),
    ]  # fmt: skip
    return Plain(features, 7, classifier)


VGGS = [f"{name}{end}" for name in CHANNELS for end in ("", "_bn")]
QUICK = "vgg11_bn"


def test_alexnet_computes_what_pytorchs_does():
    assert_same_as_torch("alexnet", alexnet(classes=5), np.tile(X, (1, 2, 2, 1)), classes=5)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == QUICK else pytest.mark.slow) for name in VGGS],
)
def test_a_vgg_computes_what_pytorchs_does(name):
    assert_same_as_torch(name, vgg(name, classes=5), X, classes=5)


@pytest.mark.parametrize("name", ["alexnet", *VGGS])
def test_the_names_kept_are_those_of_pytorch(name):
    with torch.device("meta"):
        module = alexnet() if name == "alexnet" else vgg(name)
    assert digest(torch_shapes(module)) == published(name)


@pytest.mark.slow
def test_timms_names_of_a_vgg_whose_dense_layers_are_convolutions_there_fit_too():
    """`pre_logits.fc1` is a convolution 7x7 there, and `fc2` one of 1x1."""

    class Convolved(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = vgg("vgg11").features
            self.pre_logits = nn.Module()
            self.pre_logits.fc1 = nn.Conv2d(512, 4096, 7)
            self.pre_logits.fc2 = nn.Conv2d(4096, 4096, 1)
            self.head = nn.Module()
            self.head.fc = nn.Linear(4096, 5)

        def forward(self, x):
            x = torch.relu(self.pre_logits.fc1(self.features(x)))
            return self.head.fc(torch.relu(self.pre_logits.fc2(x)).mean((2, 3)))

    x = np.random.default_rng(1).normal(size=(2, 224, 224, 3)).astype(np.float32)
    assert_same_as_torch("vgg11", Convolved(), x, classes=5, dialect=1)
