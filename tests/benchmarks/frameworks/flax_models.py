"""The models in Flax NNX."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from ..cases import CONVNEXT, MOBILENET_V2, Case

norm = partial(nnx.BatchNorm, momentum=0.9)
gelu = partial(jax.nn.gelu, approximate=False)
pool = partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2))
pool1d = partial(nnx.max_pool, window_shape=(2,), strides=(2,))


def flatten(x):
    return x.reshape(len(x), -1)


def average(x):
    return x.mean(tuple(range(1, x.ndim - 1)))


def mnist_cnn(case: Case, **d) -> nnx.Module:
    conv = partial(nnx.Conv, kernel_size=(3, 3), padding="VALID", **d)
    return nnx.Sequential(
        conv(1, 32), nnx.relu, pool,
        conv(32, 64), nnx.relu, pool,
        conv(64, 64), nnx.relu,
        flatten, nnx.Dropout(0.5, rngs=d["rngs"]),
        nnx.Linear(576, 64, **d), nnx.relu, nnx.Linear(64, case.classes, **d),
    )  # fmt: skip


def plain(inside, out, kernel, stride=1, **d):
    side = kernel // 2
    return nnx.Conv(inside, out, (kernel, kernel), stride, padding=side, use_bias=False, **d)


def padded(x):
    """Shortcut A: every second pixel, new channels zero on both sides."""
    more = x.shape[-1] // 2
    return jnp.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (more, more)))


class BasicBlock(nnx.Module):
    def __init__(self, inside, out, stride, skip, **d):
        self.conv1, self.bn1 = plain(inside, out, 3, stride, **d), norm(out, **d)
        self.conv2, self.bn2 = plain(out, out, 3, **d), norm(out, **d)
        self.skip = skip

    def __call__(self, x):
        y = nnx.relu(self.bn1(self.conv1(x)))
        return nnx.relu(self.bn2(self.conv2(y)) + self.skip(x))


def identity(x):
    return x


def resnet20(case: Case, **d) -> nnx.Module:
    layers, inside = [plain(3, 16, 3, **d), norm(16, **d), nnx.relu], 16
    for out in (16, 32, 64):
        for _ in range(3):
            stride, skip = (1, identity) if inside == out else (2, padded)
            layers.append(BasicBlock(inside, out, stride, skip, **d))
            inside = out
    return nnx.Sequential(*layers, average, nnx.Linear(64, case.classes, **d))


class Block(nnx.Module):
    """The block of MobileNetV2."""

    def __init__(self, inside, out, stride, expansion, **d):
        width = inside * expansion
        up = [plain(inside, width, 1, **d), norm(width, **d), nnx.relu6]
        across = nnx.Conv(
            width, width, (3, 3), stride,
            padding=1, feature_group_count=width, use_bias=False, **d,
        )  # fmt: skip
        self.body = nnx.Sequential(
            *(up if expansion > 1 else []),
            across, norm(width, **d), nnx.relu6,
            plain(width, out, 1, **d), norm(out, **d),
        )  # fmt: skip
        self.skips = stride == 1 and inside == out

    def __call__(self, x):
        return x + self.body(x) if self.skips else self.body(x)


def mobilenet_v2(case: Case, **d) -> nnx.Module:
    layers, inside = [plain(3, 32, 3, 2, **d), norm(32, **d), nnx.relu6], 32
    for out, blocks, stride, expansion in MOBILENET_V2:
        for i in range(blocks):
            layers.append(Block(inside, out, 1 if i else stride, expansion, **d))
            inside = out
    layers += [plain(inside, 1280, 1, **d), norm(1280, **d), nnx.relu6, average]
    head = nnx.Linear(1280, case.classes, **d)
    return nnx.Sequential(*layers, nnx.Dropout(0.2, rngs=d["rngs"]), head)


class ConvNextBlock(nnx.Module):
    def __init__(self, features, **d):
        self.body = nnx.Sequential(
            nnx.Conv(features, features, (7, 7), feature_group_count=features, **d),
            nnx.LayerNorm(features, **d),
            nnx.Linear(features, 4 * features, **d), gelu, nnx.Linear(4 * features, features, **d),
        )  # fmt: skip

    def __call__(self, x):
        return x + self.body(x)


def convnext(case: Case, **d) -> nnx.Module:
    layers, inside = [nnx.Conv(3, 48, (4, 4), 4, padding="VALID", **d), nnx.LayerNorm(48, **d)], 48
    for features, blocks in CONVNEXT:
        if features != inside:
            down = nnx.Conv(inside, features, (2, 2), 2, padding="VALID", **d)
            layers += [nnx.LayerNorm(inside, **d), down]
        layers += [ConvNextBlock(features, **d) for _ in range(blocks)]
        inside = features
    head = nnx.Linear(inside, case.classes, **d)
    return nnx.Sequential(*layers, average, nnx.LayerNorm(inside, **d), head)


def twice(inside, out, **d):
    return nnx.Sequential(
        plain(inside, out, 3, **d), norm(out, **d), nnx.relu,
        plain(out, out, 3, **d), norm(out, **d), nnx.relu,
    )  # fmt: skip


class UNet(nnx.Module):
    def __init__(self, classes, **d):
        widths = (32, 64, 128, 256)
        self.down = nnx.List([twice(i, o, **d) for i, o in zip((1, *widths), widths)])  # noqa: B905
        self.wider, self.up = nnx.List(), nnx.List()
        for width in widths[-2::-1]:
            self.wider.append(nnx.ConvTranspose(2 * width, width, (2, 2), (2, 2), **d))
            self.up.append(twice(2 * width, width, **d))
        self.head = nnx.Conv(32, classes, (1, 1), **d)

    def __call__(self, x):
        kept = []
        for layer in self.down[:-1]:
            kept.append(layer(x))
            x = pool(kept[-1])
        x = self.down[-1](x)
        for wider, layer in zip(self.wider, self.up, strict=True):
            x = layer(jnp.concatenate([kept.pop(), wider(x)], -1))
        return self.head(x)


def unet(case: Case, **d) -> nnx.Module:
    return UNet(case.classes, **d)


def dcgan(case: Case, **d) -> nnx.Module:
    up = partial(nnx.ConvTranspose, kernel_size=(4, 4), use_bias=False, **d)
    layers, inside = [up(100, 512, padding="VALID"), norm(512, **d), nnx.relu], 512
    for out in (256, 128, 64):
        layers += [up(inside, out, strides=(2, 2)), norm(out, **d), nnx.relu]
        inside = out
    return nnx.Sequential(*layers, up(64, 3, strides=(2, 2)), jnp.tanh)


def conv1d(case: Case, **d) -> nnx.Module:
    layers, inside = [], 8
    for out, kernel in ((32, 7), (64, 5), (128, 3)):
        conv = nnx.Conv(inside, out, (kernel,), use_bias=False, **d)
        layers += [conv, norm(out, **d), nnx.relu, pool1d]
        inside = out
    head = nnx.Linear(128, case.classes, **d)
    return nnx.Sequential(*layers, average, nnx.Dropout(0.2, rngs=d["rngs"]), head)


def resnet18(case: Case, **d) -> nnx.Module:
    stem_pool = partial(nnx.max_pool, window_shape=(3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
    layers, inside = [plain(3, 64, 7, 2, **d), norm(64, **d), nnx.relu, stem_pool], 64
    for out in (64, 128, 256, 512):
        if inside == out:
            layers.append(BasicBlock(inside, out, 1, identity, **d))
        else:
            skip = nnx.Sequential(plain(inside, out, 1, 2, **d), norm(out, **d))
            layers.append(BasicBlock(inside, out, 2, skip, **d))
        layers.append(BasicBlock(out, out, 1, identity, **d))
        inside = out
    return nnx.Sequential(*layers, average, nnx.Linear(512, case.classes, **d))


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


def build(case: Case, dtype: str) -> nnx.Module:
    return MODELS[case.model](case, rngs=nnx.Rngs(0), dtype=jnp.dtype(dtype))


def count(model: nnx.Module) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
