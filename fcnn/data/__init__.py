"""Examples as numpy arrays: readers, splits, order and batches; numpy in, numpy out."""

from .audio import recordings as recordings
from .audio import resample as resample
from .audio import wav as wav
from .batching import batches as batches
from .batching import order as order
from .cifar import cifar10 as cifar10
from .cifar import cifar100 as cifar100
from .dataset import Dataset as Dataset
from .dataset import arrays as arrays
from .dataset import as_dataset as as_dataset
from .dataset import split as split
from .findings import Finding as Finding
from .findings import Inspection as Inspection
from .folders import csv as csv
from .folders import folder as folder
from .inspection import check as check
from .loading import Pictures as Pictures
from .loading import readable as readable
from .pictures import picture as picture
from .readers import digits as digits
from .readers import idx as idx
from .readers import mnist as mnist
from .readers import npy as npy
from .readers import npz as npz
from .streams import Stream as Stream
from .streams import stream as stream
from .texts import Vocabulary as Vocabulary
from .texts import lines as lines
from .texts import text as text
from .texts import words as words

__all__ = [
    "Dataset",
    "Finding",
    "Inspection",
    "Pictures",
    "Stream",
    "Vocabulary",
    "arrays",
    "as_dataset",
    "batches",
    "check",
    "cifar10",
    "cifar100",
    "csv",
    "digits",
    "folder",
    "idx",
    "lines",
    "mnist",
    "npy",
    "npz",
    "order",
    "picture",
    "readable",
    "recordings",
    "resample",
    "split",
    "stream",
    "text",
    "wav",
    "words",
]
