"""What is measured: the models with their inputs, and the settings that all frameworks share."""

from collections.abc import Callable
from fnmatch import fnmatch
from typing import NamedTuple

import numpy as np

from . import data

RATE = 1e-3  # of Adam, everywhere


class Case(NamedTuple):
    """A model and its batch.

    ``classes`` is 0 where the target is an array like the output, and the loss the squared error;
    otherwise the target holds integers and the loss is the cross-entropy.
    """

    name: str
    model: str
    shape: tuple[int, ...]  # of the input, channels last
    target: tuple[int, ...]
    classes: int = 10
    kinds: tuple[str, ...] = ("train", "inference")


class Settings(NamedTuple):
    """How the frameworks compute."""

    dtype: str = "float32"
    device: str | None = None  # None: that which the framework takes by itself
    torch_compile: bool = False


CASES = [
    Case("mnist_cnn-b32", "mnist_cnn", (32, 28, 28, 1), (32,)),
    Case("mnist_cnn-b128", "mnist_cnn", (128, 28, 28, 1), (128,)),
    Case("resnet20-b128", "resnet20", (128, 32, 32, 3), (128,)),
    Case("mobilenet_v2-b32", "mobilenet_v2", (32, 64, 64, 3), (32,)),
    Case("convnext-b16", "convnext", (16, 64, 64, 3), (16,)),
    Case("unet-b8", "unet", (8, 128, 128, 1), (8, 128, 128), classes=2),
    Case("dcgan-b64", "dcgan", (64, 1, 1, 100), (64, 64, 64, 3), classes=0),
    Case("conv1d-b64", "conv1d", (64, 1024, 8), (64,)),
    Case("resnet18-b1", "resnet18", (1, 224, 224, 3), (1,), classes=1000, kinds=("inference",)),
    Case("resnet18-b8", "resnet18", (8, 224, 224, 3), (8,), classes=1000, kinds=("inference",)),
]
# features, blocks, stride, expansion of each stage
MOBILENET_V2 = [
    (16, 1, 1, 1), (24, 2, 2, 6), (32, 3, 2, 6), (64, 4, 2, 6),
    (96, 3, 1, 6), (160, 3, 2, 6), (320, 1, 1, 6),
]  # fmt: skip
CONVNEXT = [(48, 2), (96, 2), (192, 4), (384, 2)]  # features, blocks of each stage


class Perceptron(NamedTuple):
    """A small perceptron, its data and its batches."""

    load: Callable[[], tuple[np.ndarray, np.ndarray]]
    classes: int
    hidden: tuple[int, ...]
    batch_size: int
    epochs: int  # that take a second or so


MLPS = {
    "digits": Perceptron(data.digits, 10, (32, 64, 128), 200, 200),
    "iris": Perceptron(data.iris, 3, (5,), 10, 800),
}
MODELS = list(dict.fromkeys(case.model for case in CASES))


def chosen(patterns: list[str]) -> list[Case]:
    """The cases whose model or name matches a shell pattern, all of them without one.

    Raises:
        ValueError: a pattern matches nothing.
    """
    for pattern in patterns:
        if not any(_matches(case, pattern) for case in CASES):
            raise ValueError(f"no model is called {pattern!r}; there are {', '.join(MODELS)}")
    return [c for c in CASES if not patterns or any(_matches(c, p) for p in patterns)]


def marginal(fit: Callable[[int], float], few: int, many: int) -> float:
    """Seconds of one more epoch: what many take beyond few, where the start is in both."""
    return (fit(many) - fit(few)) / (many - few)


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def example(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The batch: the same numbers in every process."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=case.shape).astype(np.float32)
    if case.classes:
        return x, generator.integers(case.classes, size=case.target).astype(np.int32)
    return x, np.tanh(generator.normal(size=case.target)).astype(np.float32)


def _matches(case: Case, pattern: str) -> bool:
    return fnmatch(case.model, pattern) or fnmatch(case.name, pattern)
