"""How alike two maps are: by the order of their positions, and by their structure."""

import numpy as np


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation of maps, ``[n, ...] x [n, ...] -> [n]``.

    Of a constant map and another it is 0, of two constant ones 1: neither prefers any position.
    """
    a, b = (np.stack([_ranks(each.reshape(-1)) for each in maps]) for maps in (a, b))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    size_a, size_b = (a**2).sum(1), (b**2).sum(1)
    norm = np.sqrt(size_a * size_b)
    return np.where(size_a + size_b, (a * b).sum(1) / np.where(norm, norm, 1), 1.0)


def ssim(a: np.ndarray, b: np.ndarray, window: int = 7) -> np.ndarray:
    """Structural similarity of maps ``[n, h, w]`` with values from 0 to 1, ``[n]``.

    The mean over all windows of equal weights (Wang et al., 2004, doi:10.1109/TIP.2003.819861).
    """
    sides = [min(window, side) for side in a.shape[1:]]
    count = np.prod(sides)

    def mean(maps):
        for axis, side in enumerate(sides, start=1):
            maps = np.lib.stride_tricks.sliding_window_view(maps, side, axis).mean(-1)
        return maps

    unbiased = count / max(count - 1, 1)
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b, both = (
        unbiased * (mean(p * q) - mean(p) * mean(q)) for p, q in ((a, a), (b, b), (a, b))
    )
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    bottom = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return (top / bottom).reshape(len(a), -1).mean(1)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (count.cumsum() - (count - 1) / 2)[place]
