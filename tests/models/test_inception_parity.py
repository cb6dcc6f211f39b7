"""GoogLeNet and Inception-v3 against PyTorch, with the modules of torchvision but for the auxiliary
heads.
"""

import numpy as np
import pytest

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes

torch = pytest.importorskip("torch")
nn = torch.nn
pool = nn.functional.max_pool2d


class Basic(nn.Module):
    def __init__(self, inside, out, kernel, **options):
        super().__init__()
        self.conv = nn.Conv2d(inside, out, kernel, bias=False, **options)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class Module(nn.Module):
    """The module of GoogLeNet."""

    def __init__(self, inside, one, three0, three, five0, five, pooled):
        super().__init__()
        self.branch1 = Basic(inside, one, 1)
        self.branch2 = nn.Sequential(Basic(inside, three0, 1), Basic(three0, three, 3, padding=1))
        self.branch3 = nn.Sequential(Basic(inside, five0, 1), Basic(five0, five, 3, padding=1))
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, 1, 1, ceil_mode=True), Basic(inside, pooled, 1)
        )

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        self.conv1 = Basic(3, 64, 7, stride=2, padding=3)
        self.conv2 = Basic(64, 64, 1)
        self.conv3 = Basic(64, 192, 3, padding=1)
        self.inception3a = Module(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Module(256, 128, 128, 192, 32, 96, 64)
        self.inception4a = Module(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Module(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Module(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Module(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Module(528, 256, 160, 320, 32, 128, 128)
        self.inception5a = Module(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Module(832, 384, 192, 384, 48, 128, 128)
        self.fc = nn.Linear(1024, classes)

    def forward(self, x):
        x = pool(self.conv1(x), 3, 2, ceil_mode=True)
        x = pool(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        x = pool(self.inception3b(self.inception3a(x)), 3, 2, ceil_mode=True)
        x = self.inception4c(self.inception4b(self.inception4a(x)))
        x = pool(self.inception4e(self.inception4d(x)), 2, 2, ceil_mode=True)
        return self.fc(self.inception5b(self.inception5a(x)).mean((2, 3)))


def mean3(x):
    return nn.functional.avg_pool2d(x, 3, 1, 1)


class A(nn.Module):
    def __init__(self, inside, pooled):
        super().__init__()
        self.branch1x1 = Basic(inside, 64, 1)
        self.branch5x5_1 = Basic(inside, 48, 1)
        self.branch5x5_2 = Basic(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Basic(inside, 64, 1)
        self.branch3x3dbl_2 = Basic(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Basic(96, 96, 3, padding=1)
        self.branch_pool = Basic(inside, pooled, 1)

    def forward(self, x):
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(mean3(x))], 1)


class B(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.branch3x3 = Basic(inside, 384, 3, stride=2)
        self.branch3x3dbl_1 = Basic(inside, 64, 1)
        self.branch3x3dbl_2 = Basic(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Basic(96, 96, 3, stride=2)

    def forward(self, x):
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, pool(x, 3, 2)], 1)


class C(nn.Module):
    def __init__(self, inside, seven):
        super().__init__()
        wide, tall = (
            {"kernel": (1, 7), "padding": (0, 3)},
            {"kernel": (7, 1), "padding": (3, 0)},
        )
        self.branch1x1 = Basic(inside, 192, 1)
        self.branch7x7_1 = Basic(inside, seven, 1)
        self.branch7x7_2 = Basic(seven, seven, **wide)
        self.branch7x7_3 = Basic(seven, 192, **tall)
        self.branch7x7dbl_1 = Basic(inside, seven, 1)
        self.branch7x7dbl_2 = Basic(seven, seven, **tall)
        self.branch7x7dbl_3 = Basic(seven, seven, **wide)
        self.branch7x7dbl_4 = Basic(seven, seven, **tall)
        self.branch7x7dbl_5 = Basic(seven, 192, **wide)
        self.branch_pool = Basic(inside, 192, 1)

    def forward(self, x):
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = x
        for i in range(1, 6):
            double = getattr(self, f"branch7x7dbl_{i}")(double)
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(mean3(x))], 1)


class D(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.branch3x3_1 = Basic(inside, 192, 1)
        self.branch3x3_2 = Basic(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Basic(inside, 192, 1)
        self.branch7x7x3_2 = Basic(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Basic(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Basic(192, 192, 3, stride=2)

    def forward(self, x):
        seven = x
        for i in range(1, 5):
            seven = getattr(self, f"branch7x7x3_{i}")(seven)
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, pool(x, 3, 2)], 1)


class E(nn.Module):
    def __init__(self, inside):
        super().__init__()
        wide, tall = (
            {"kernel": (1, 3), "padding": (0, 1)},
            {"kernel": (3, 1), "padding": (1, 0)},
        )
        self.branch1x1 = Basic(inside, 320, 1)
        self.branch3x3_1 = Basic(inside, 384, 1)
        self.branch3x3_2a = Basic(384, 384, **wide)
        self.branch3x3_2b = Basic(384, 384, **tall)
        self.branch3x3dbl_1 = Basic(inside, 448, 1)
        self.branch3x3dbl_2 = Basic(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Basic(384, 384, **wide)
        self.branch3x3dbl_3b = Basic(384, 384, **tall)
        self.branch_pool = Basic(inside, 192, 1)

    def forward(self, x):
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch3x3_2a(three),
                self.branch3x3_2b(three),
                self.branch3x3dbl_3a(double),
                self.branch3x3dbl_3b(double),
                self.branch_pool(mean3(x)),
            ],
            1,
        )


class Inception3(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        self.Conv2d_1a_3x3 = Basic(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Basic(32, 32, 3)
        self.Conv2d_2b_3x3 = Basic(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Basic(64, 80, 1)
        self.Conv2d_4a_3x3 = Basic(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = A(192, 32), A(256, 64), A(288, 64)
        self.Mixed_6a = B(288)
        self.Mixed_6b, self.Mixed_6c = C(768, 128), C(768, 160)
        self.Mixed_6d, self.Mixed_6e = C(768, 160), C(768, 192)
        self.Mixed_7a, self.Mixed_7b, self.Mixed_7c = D(768), E(1280), E(2048)
        self.fc = nn.Linear(2048, classes)

    def forward(self, x):
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = pool(x, 3, 2)
        x = pool(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        for letter in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = getattr(self, f"Mixed_{letter}")(x)
        return self.fc(x.mean((2, 3)))


FAMILY = {"googlenet": GoogLeNet, "inception_v3": Inception3}


@pytest.mark.parametrize(("name", "side"), [("googlenet", 80), ("inception_v3", 107)])
def test_an_inception_network_computes_what_pytorchs_does(name, side):
    x = np.random.default_rng(0).normal(size=(2, side, side, 3)).astype(np.float32)
    assert_same_as_torch(name, FAMILY[name](classes=5), x, classes=5)


@pytest.mark.parametrize("name", FAMILY)
def test_the_names_kept_are_those_of_pytorch(name):
    with torch.device("meta"):
        module = FAMILY[name]()
    assert digest(torch_shapes(module)) == published(name)
