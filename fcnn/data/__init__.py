"""Examples as numpy arrays: readers, splits, order and batches; numpy in, numpy out."""

from .batching import batches as batches
from .batching import order as order
from .dataset import Dataset as Dataset
from .dataset import arrays as arrays
from .dataset import as_dataset as as_dataset
from .dataset import split as split
from .pictures import picture as picture
from .readers import digits as digits
from .readers import mnist as mnist
from .readers import npz as npz

__all__ = [
    "Dataset",
    "arrays",
    "as_dataset",
    "batches",
    "digits",
    "mnist",
    "npz",
    "order",
    "picture",
    "split",
]
