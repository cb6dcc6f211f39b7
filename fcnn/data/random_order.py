"""Random numbers that are the same on every version of NumPy: the raw integers of Philox.

NumPy guarantees the stream of a bit generator, but not what ``Generator`` makes of it. A counter
has four words, ``[0, sample, epoch, purpose]``, so that different purposes never share numbers.
"""

import numpy as np

ORDER, AUGMENTATION, SPLIT = range(3)  # the purposes


def permutation(n: int, *, seed: int, epoch: int = 0, purpose: int = ORDER) -> np.ndarray:
    """The numbers 0 to n - 1 in an order that follows from the other arguments alone, int64 [n].

    Raises:
        ValueError: seed or epoch is negative or needs more than 64 bits.
        TypeError: one of them is not an integer.
    """
    for name, value in (("seed", seed), ("epoch", epoch)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            raise TypeError(f"{name} must be an integer, got {value!r}")
        if not 0 <= value < 2**64:
            raise ValueError(f"{name} must be at least 0 and less than 2**64, got {value}")
    philox = np.random.Philox(key=int(seed), counter=[0, 0, int(epoch), purpose])
    return np.argsort(philox.random_raw(n), kind="stable")
