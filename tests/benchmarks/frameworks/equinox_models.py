"""The models in Equinox: of one example, channels first, batch norm through its state."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from equinox import nn

from ..cases import CONVNEXT, MOBILENET_V2, Case

relu, relu6, flatten = (nn.Lambda(f) for f in (jax.nn.relu, jax.nn.relu6, jnp.ravel))
average = nn.Lambda(lambda x: x.mean(tuple(range(1, x.ndim))))
gelu = nn.Lambda(partial(jax.nn.gelu, approximate=False))


def norm(features):
    return nn.BatchNorm(features, axis_name="batch", momentum=0.9, mode="batch")


class Keys:
    """A fresh key for each layer."""

    def __init__(self, seed: int = 0):
        self.key = jax.random.key(seed)

    def __call__(self):
        self.key, key = jax.random.split(self.key)
        return key


def mnist_cnn(case: Case, key: Keys) -> eqx.Module:
    return nn.Sequential([
        nn.Conv2d(1, 32, 3, key=key()), relu, nn.MaxPool2d(2, 2),
        nn.Conv2d(32, 64, 3, key=key()), relu, nn.MaxPool2d(2, 2),
        nn.Conv2d(64, 64, 3, key=key()), relu,
        flatten, nn.Dropout(0.5),
        nn.Linear(576, 64, key=key()), relu, nn.Linear(64, case.classes, key=key()),
    ])  # fmt: skip


def plain(inside, out, kernel, stride, key):
    return nn.Conv2d(inside, out, kernel, stride, kernel // 2, use_bias=False, key=key())


class Residual(nn.StatefulLayer):
    """``after(body(x) + skip(x))``."""

    body: nn.Sequential
    skip: nn.Sequential
    after: nn.Lambda

    def __call__(self, x, state, *, key=None):
        y, state = self.body(x, state)
        z, state = self.skip(x, state)
        return self.after(y + z), state


@nn.Lambda
def padded(x):
    """Shortcut A: every second pixel, new channels zero on both sides."""
    more = len(x) // 2
    return jnp.pad(x[:, ::2, ::2], ((more, more), (0, 0), (0, 0)))


def basic_block(inside, out, stride, skip, key):
    body = [
        plain(inside, out, 3, stride, key), norm(out), relu,
        plain(out, out, 3, 1, key), norm(out),
    ]  # fmt: skip
    return Residual(nn.Sequential(body), nn.Sequential(skip), relu)


def resnet20(case: Case, key: Keys) -> eqx.Module:
    layers, inside = [plain(3, 16, 3, 1, key), norm(16), relu], 16
    for out in (16, 32, 64):
        for _ in range(3):
            stride, skip = (1, []) if inside == out else (2, [padded])
            layers.append(basic_block(inside, out, stride, skip, key))
            inside = out
    return nn.Sequential([*layers, average, nn.Linear(64, case.classes, key=key())])


def inverted_block(inside, out, stride, expansion, key):
    width = inside * expansion
    up = [plain(inside, width, 1, 1, key), norm(width), relu6] if expansion > 1 else []
    across = nn.Conv2d(width, width, 3, stride, 1, groups=width, use_bias=False, key=key())
    body = nn.Sequential([*up, across, norm(width), relu6, plain(width, out, 1, 1, key), norm(out)])
    if stride > 1 or inside != out:
        return body
    return Residual(body, nn.Sequential([]), nn.Lambda(lambda x: x))


def mobilenet_v2(case: Case, key: Keys) -> eqx.Module:
    layers, inside = [plain(3, 32, 3, 2, key), norm(32), relu6], 32
    for out, blocks, stride, expansion in MOBILENET_V2:
        for i in range(blocks):
            layers.append(inverted_block(inside, out, 1 if i else stride, expansion, key))
            inside = out
    layers += [plain(inside, 1280, 1, 1, key), norm(1280), relu6, average, nn.Dropout(0.2)]
    return nn.Sequential([*layers, nn.Linear(1280, case.classes, key=key())])


class PixelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel of ``[c, h, w]``."""

    def __call__(self, x, state=None, *, key=None):
        along = jax.vmap(super().__call__, in_axes=1, out_axes=1)
        return jax.vmap(along, in_axes=1, out_axes=1)(x)


class ConvNextBlock(eqx.Module):
    body: nn.Sequential

    def __init__(self, features, key):
        self.body = nn.Sequential([
            nn.Conv2d(features, features, 7, padding=3, groups=features, key=key()),
            PixelNorm(features, eps=1e-6),
            nn.Conv2d(features, 4 * features, 1, key=key()), gelu,
            nn.Conv2d(4 * features, features, 1, key=key()),
        ])  # fmt: skip

    def __call__(self, x, *, key=None):
        return x + self.body(x)


def convnext(case: Case, key: Keys) -> eqx.Module:
    layers, inside = [nn.Conv2d(3, 48, 4, 4, key=key()), PixelNorm(48, eps=1e-6)], 48
    for features, blocks in CONVNEXT:
        if features != inside:
            down = nn.Conv2d(inside, features, 2, 2, key=key())
            layers += [PixelNorm(inside, eps=1e-6), down]
        layers += [ConvNextBlock(features, key) for _ in range(blocks)]
        inside = features
    head = [nn.LayerNorm(inside, eps=1e-6), nn.Linear(inside, case.classes, key=key())]
    return nn.Sequential([*layers, average, *head])


def twice(inside, out, key):
    return nn.Sequential([
        plain(inside, out, 3, 1, key), norm(out), relu,
        plain(out, out, 3, 1, key), norm(out), relu,
    ])  # fmt: skip


class UNet(eqx.Module):
    down: list
    wider: list
    up: list
    head: nn.Conv2d
    pool: nn.MaxPool2d

    def __init__(self, classes, key):
        widths = (32, 64, 128, 256)
        self.down = [twice(i, o, key) for i, o in zip((1, *widths), widths)]  # noqa: B905
        self.wider = [
            nn.ConvTranspose2d(2 * width, width, 2, 2, key=key()) for width in widths[-2::-1]
        ]
        self.up = [twice(2 * width, width, key) for width in widths[-2::-1]]
        self.head, self.pool = nn.Conv2d(32, classes, 1, key=key()), nn.MaxPool2d(2, 2)

    def __call__(self, x, state, *, key=None):
        kept = []
        for layer in self.down[:-1]:
            x, state = layer(x, state)
            kept.append(x)
            x = self.pool(x)
        x, state = self.down[-1](x, state)
        for wider, layer in zip(self.wider, self.up, strict=True):
            x, state = layer(jnp.concatenate([kept.pop(), wider(x)]), state)
        return self.head(x), state


def unet(case: Case, key: Keys) -> eqx.Module:
    return UNet(case.classes, key)


def dcgan(case: Case, key: Keys) -> eqx.Module:
    def up(inside, out, stride, padding):
        return nn.ConvTranspose2d(
            inside, out, 4, stride, padding=padding, use_bias=False, key=key()
        )

    layers, inside = [], 100
    for out, stride, padding in ((512, 1, 0), (256, 2, 1), (128, 2, 1), (64, 2, 1)):
        layers += [up(inside, out, stride, padding), norm(out), relu]
        inside = out
    return nn.Sequential([*layers, up(64, 3, 2, 1), nn.Lambda(jnp.tanh)])


def conv1d(case: Case, key: Keys) -> eqx.Module:
    layers, inside = [], 8
    for out, kernel in ((32, 7), (64, 5), (128, 3)):
        conv = nn.Conv1d(inside, out, kernel, padding=kernel // 2, use_bias=False, key=key())
        layers += [conv, norm(out), relu, nn.MaxPool1d(2, 2)]
        inside = out
    head = [nn.Dropout(0.2), nn.Linear(128, case.classes, key=key())]
    return nn.Sequential([*layers, average, *head])


def resnet18(case: Case, key: Keys) -> eqx.Module:
    layers, inside = [plain(3, 64, 7, 2, key), norm(64), relu, nn.MaxPool2d(3, 2, 1)], 64
    for out in (64, 128, 256, 512):
        stride = 1 if inside == out else 2
        skip = [] if inside == out else [plain(inside, out, 1, 2, key), norm(out)]
        layers.append(basic_block(inside, out, stride, skip, key))
        layers.append(basic_block(out, out, 1, [], key))
        inside = out
    return nn.Sequential([*layers, average, nn.Linear(512, case.classes, key=key())])


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


class Stateful(eqx.Module):
    """A model whose call takes and gives a state, whether it has one or not."""

    model: eqx.Module

    def __call__(self, x, state, key=None):
        if isinstance(self.model, nn.Sequential) and not self.model.is_stateful():
            return self.model(x, key=key), state
        return self.model(x, state, key=key)


def build(case: Case) -> tuple[eqx.Module, nn.State]:
    return nn.make_with_state(lambda: Stateful(MODELS[case.model](case, Keys())))()


def count(model: eqx.Module) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
