"""U-Net against PyTorch, with the modules of github.com/milesial/Pytorch-UNet."""

import numpy as np
import pytest

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes

torch = pytest.importorskip("torch")
nn = torch.nn


class Double(nn.Module):
    def __init__(self, inside, out, norm=True):
        super().__init__()

        def unit(inside):
            bn = nn.BatchNorm2d(out) if norm else nn.Identity()
            return [nn.Conv2d(inside, out, 3, padding=1, bias=not norm), bn, nn.ReLU()]

        self.double_conv = nn.Sequential(*unit(inside), *unit(out))

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, inside, out, norm):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), Double(inside, out, norm))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, inside, out, norm):
        super().__init__()
        self.up = nn.ConvTranspose2d(inside, inside // 2, 2, 2)
        self.conv = Double(inside, out, norm)

    def forward(self, x, passed):
        return self.conv(torch.cat([passed, self.up(x)], 1))


class Out(nn.Module):
    def __init__(self, inside, classes):
        super().__init__()
        self.conv = nn.Conv2d(inside, classes, 1)

    def forward(self, x):
        return self.conv(x)


class UNet(nn.Module):
    def __init__(self, channels=3, classes=2, width=64, norm=True):
        super().__init__()
        self.inc = Double(channels, width, norm)
        for i in range(1, 5):
            setattr(self, f"down{i}", Down(width * 2 ** (i - 1), width * 2**i, norm))
            setattr(self, f"up{i}", Up(width * 2 ** (5 - i), width * 2 ** (4 - i), norm))
        self.outc = Out(width, classes)

    def forward(self, x):
        passed = [self.inc(x)]
        for i in range(1, 5):
            passed.append(getattr(self, f"down{i}")(passed[-1]))
        x = passed.pop()
        for i in range(1, 5):
            x = getattr(self, f"up{i}")(x, passed.pop())
        return self.outc(x)


@pytest.mark.parametrize("norm", [True, False])
def test_a_unet_computes_what_pytorchs_does(norm):
    x = np.random.default_rng(0).normal(size=(2, 32, 48, 3)).astype(np.float32)
    assert_same_as_torch("unet", UNet(width=8, norm=norm), x, width=8, norm=norm)


def test_the_names_kept_are_those_of_pytorch():
    with torch.device("meta"):
        module = UNet()
    assert digest(torch_shapes(module)) == published("unet")
