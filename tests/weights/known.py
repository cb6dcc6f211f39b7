"""The arrays that the small files in ``files`` hold: numbers by a rule, so that no file need."""

import math
from pathlib import Path

import ml_dtypes
import numpy as np

FILES = Path(__file__).parent / "files"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "weights"


def numbers(shape: tuple[int, ...], dtype: str = "float32", first: int = 0) -> np.ndarray:
    """``first``, ``first + 1``, ... as an array."""
    counted = np.arange(first, first + math.prod(shape)).reshape(shape)
    return counted.astype(getattr(ml_dtypes, dtype, None) or dtype)


def tensors() -> dict[str, np.ndarray]:
    """What the files of PyTorch and safetensors hold."""
    base = numbers((4, 6))
    return {
        "conv.weight": numbers((2, 3, 2, 2), first=-9),
        "base": base,
        "transposed": base.T,
        "part": base[1:, 2],
        "spread": np.broadcast_to(np.float32(7), (2, 3)),
        "bn.num_batches_tracked": np.array(3, np.int64),
        "empty": numbers((0, 3)),
        "bfloat16": numbers((3,), "bfloat16"),
        "half": numbers((3, 2), "float16"),
        "double": numbers((2,), "float64", -1),
        "truth": np.array([True, False, True]),
        "uint8": numbers((5,), "uint8", 251),
        "int8": numbers((5,), "int8", -2),
        "int16": numbers((2,), "int16", -300),
        "int32": numbers((2,), "int32", -70_000),
        "uint16": numbers((2,), "uint16", 65_534),
        "complex": numbers((2, 2), "complex64") * np.complex64(1 - 2j),
        "float8_e4m3fn": numbers((4,), "float8_e4m3fn"),
        "float8_e5m2": numbers((4,), "float8_e5m2"),
    }


def assert_equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Names in order, types, shapes and bits; and every array is a copy of its own, in C order."""
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert type(found[name]) is np.ndarray
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name
        assert found[name].flags.c_contiguous, name
        assert found[name].flags.writeable, name
    arrays = list(found.values())
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
