"""The operations once more, as plain loops over float64 numbers: slow, and easy to believe."""

import itertools

import numpy as np


def same_pads(size, window, stride, dilation):
    """Padding for ``ceil(n / stride)`` windows, an odd cell at the end."""
    pads = []
    for n, k, s, d in zip(size, window, stride, dilation, strict=True):
        total = max((int(np.ceil(n / s)) - 1) * s + d * (k - 1) + 1 - n, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def conv(x, kernel, stride, pads, dilation, groups=1):
    x = np.pad(np.asarray(x, np.float64), [(0, 0), *pads, (0, 0)])
    y = np.zeros((len(x), *_count(x, kernel, stride, dilation), kernel.shape[-1]))
    for to, tap, at, c, f in _products(y.shape[1:-1], kernel, stride, dilation, groups):
        y[(slice(None), *to, f)] += x[(slice(None), *at, c)] @ kernel[tap][:, f]
    return y


def conv_gradients(x, kernel, dy, stride, pads, dilation, groups=1):
    """What ``sum(conv(x, kernel) * dy)`` changes by, for each number of x and of the kernel."""
    x = np.pad(np.asarray(x, np.float64), [(0, 0), *pads, (0, 0)])
    dx, dkernel = np.zeros_like(x), np.zeros(kernel.shape)
    for to, tap, at, c, f in _products(dy.shape[1:-1], kernel, stride, dilation, groups):
        dx[(slice(None), *at, c)] += dy[(slice(None), *to, f)] @ kernel[tap][:, f].T
        dkernel[tap][:, f] += x[(slice(None), *at, c)].T @ dy[(slice(None), *to, f)]
    inside = (slice(a, n - b) for n, (a, b) in zip(x.shape[1:-1], pads, strict=True))
    return dx[(slice(None), *inside)], dkernel


def pool(x, reduction, window, stride, pads, ceil=False):
    """``reduction`` of the cells of the input in each window.

    With ``ceil`` there is one more where cells are left over, if it begins inside the input.
    """
    x = np.asarray(x)
    size = x.shape[1:-1]
    counts = []
    for n, k, s, (a, b) in zip(size, window, stride, pads, strict=True):
        end = n + b
        left = (i < n and i - s + k < end and ceil for i in range(-a, end, s))
        fits = (i + k <= end for i in range(-a, end, s))
        counts.append(sum(map(max, left, fits)))
    y = np.zeros((len(x), *counts, x.shape[-1]))
    for to in np.ndindex(*counts):
        cells = [
            slice(max(i * s - a, 0), max(i * s - a + k, 0))
            for i, k, s, (a, _) in zip(to, window, stride, pads, strict=True)
        ]
        y[(slice(None), *to)] = reduction(x[(slice(None), *cells)], tuple(range(1, x.ndim - 1)))
    return y


def _count(x, kernel, stride, dilation):
    sides = zip(x.shape[1:-1], kernel.shape[:-2], stride, dilation, strict=True)
    return [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in sides]


def _products(count, kernel, stride, dilation, groups):
    c, f = kernel.shape[-2], kernel.shape[-1] // groups
    window = kernel.shape[:-2]
    for to, tap, g in itertools.product(np.ndindex(*count), np.ndindex(*window), range(groups)):
        at = (i * s + t * d for i, s, t, d in zip(to, stride, tap, dilation, strict=True))
        yield to, tap, tuple(at), slice(g * c, g * c + c), slice(g * f, g * f + f)
