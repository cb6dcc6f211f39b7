"""The operations that are measured alone: what they are, on which shapes."""

from typing import NamedTuple

import numpy as np


class Operation(NamedTuple):
    """A function, its input ``[n, ..., c]`` and its options, the same along all dimensions."""

    name: str
    function: str
    x: tuple[int, ...]
    kernel: tuple[int, ...] = ()  # [*window, in / groups, out]; transposed: [*window, out, in]
    window: int = 0  # of a pooling
    stride: int = 1
    padding: int = 0
    extra: int = 0  # output padding
    dilation: int = 1
    groups: int = 1
    method: str = ""
    first: bool = False  # in a network, so that nobody asks for the gradient of its input

    @property
    def rank(self) -> int:
        return len(self.x) - 2


def _conv(n, size, c, out, k, stride=1, *, padding=None, dilation=1, groups=1, rank=2, first=False):
    what = {1: "conv1d", 2: "conv", 3: "conv3d"}[rank]
    what = what if groups == 1 else "depthwise" if groups == c else f"{groups} groups"
    name = f"{what} {n},{size},{c},{out},{k}" + (f" /{stride}" if stride > 1 else "")
    return Operation(
        name + (f" dilation {dilation}" if dilation > 1 else ""),
        "conv",
        (n, *(size,) * rank, c),
        (*(k,) * rank, c // groups, out),
        stride=stride,
        padding=dilation * (k // 2) if padding is None else padding,
        dilation=dilation,
        groups=groups,
        first=first,
    )


def _transposed(n, size, c, out, k, stride, padding=0, extra=0):
    name = f"transposed {n},{size},{c},{out},{k} /{stride}"
    x, kernel = (n, size, size, c), (k, k, out, c)
    return Operation(name, "conv_transpose", x, kernel, stride=stride, padding=padding, extra=extra)


def _pool(kind, n, size, c, window, stride, padding=0):
    name = f"{kind} pool {n},{size},{c},{window} /{stride}"
    x = (n, size, size, c)
    return Operation(name, f"{kind}_pool", x, window=window, stride=stride, padding=padding)


def _resize(method, n, size, c):
    return Operation(f"{method} x2 {n},{size},{c}", "resize", (n, size, size, c), method=method)


def _norm(n, size, c):
    return Operation(f"batch norm {n},{size},{c}", "batch_norm", (n, size, size, c))


OPERATIONS = [
    _conv(128, 28, 1, 32, 3, padding=0, first=True),
    _conv(128, 32, 3, 16, 3, first=True),
    _conv(32, 64, 3, 32, 3, 2, first=True),
    _conv(16, 64, 3, 48, 4, 4, padding=0, first=True),
    _conv(8, 224, 3, 64, 7, 2, first=True),
    _conv(128, 32, 16, 16, 3),
    _conv(128, 16, 32, 32, 3),
    _conv(128, 13, 32, 64, 3, padding=0),
    _conv(128, 8, 64, 64, 3),
    _conv(32, 56, 64, 64, 3),
    _conv(128, 8, 128, 128, 3),
    _conv(32, 14, 256, 256, 3),
    _conv(8, 64, 64, 32, 3),
    _conv(32, 28, 32, 32, 5),
    _conv(128, 32, 16, 32, 3, 2),
    _conv(32, 28, 128, 256, 3, 2),
    _conv(16, 16, 48, 96, 2, 2, padding=0),
    _conv(32, 56, 64, 256, 1),
    _conv(32, 16, 192, 32, 1),
    _conv(32, 28, 64, 64, 3, dilation=2),
    _conv(128, 32, 64, 64, 3, groups=8),
    _conv(32, 14, 256, 256, 3, groups=32),
    _conv(32, 32, 96, 96, 3, groups=96),
    _conv(128, 32, 64, 64, 3, groups=64),
    _conv(32, 32, 96, 96, 3, 2, groups=96),
    _conv(32, 8, 384, 384, 5, groups=384),
    _conv(16, 16, 48, 48, 7, groups=48),
    _conv(16, 4, 192, 192, 7, groups=192),
    _conv(64, 1024, 8, 32, 7, rank=1, first=True),
    _conv(64, 512, 32, 64, 5, rank=1),
    _conv(64, 256, 64, 128, 3, rank=1),
    _conv(8, 16, 16, 32, 3, rank=3),
    _conv(4, 32, 1, 16, 3, rank=3, first=True),
    _transposed(128, 32, 64, 32, 3, 2, padding=1, extra=1),
    _transposed(64, 8, 256, 128, 4, 2, padding=1),
    _transposed(64, 32, 64, 3, 4, 2, padding=1),
    _transposed(8, 16, 256, 128, 2, 2),
    _transposed(8, 64, 64, 32, 2, 2),
    _pool("max", 128, 26, 32, 2, 2),
    _pool("max", 128, 32, 64, 2, 2),
    _pool("max", 32, 32, 64, 3, 2, padding=1),
    _pool("max", 128, 32, 64, 3, 2, padding=1),
    _pool("max", 32, 112, 64, 3, 2, padding=1),
    _pool("max", 32, 28, 64, 3, 1, padding=1),
    _pool("avg", 128, 32, 64, 2, 2),
    _pool("avg", 32, 32, 64, 3, 2),
    _resize("nearest", 128, 32, 64),
    _resize("bilinear", 128, 32, 64),
    _resize("bilinear", 8, 32, 128),
    _norm(128, 32, 16),
    _norm(128, 16, 32),
    _norm(32, 56, 64),
    _norm(32, 32, 96),
]


def operation_named(name: str) -> Operation:
    return next(operation for operation in OPERATIONS if operation.name == name)


def operands(operation: Operation) -> tuple[np.ndarray, ...]:
    """The input, and the kernel or the scale and bias where there are any."""
    generator = np.random.default_rng(0)
    shapes = [operation.x]
    if operation.kernel:
        shapes.append(operation.kernel)
    if operation.function == "batch_norm":
        shapes += [operation.x[-1:], operation.x[-1:]]
    return tuple(generator.normal(size=shape).astype(np.float32) for shape in shapes)
