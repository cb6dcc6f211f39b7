"""What is looked at on the host, before anything is traced: the data, the labels, the last layer.

Every message says what came, what was expected, and one thing to do.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .. import losses
from ..core import Layer, Network, describe, out_spec, spec
from ..core.recipes import Named, Recipe
from ..data import Dataset, as_dataset
from ..data.loading import Pictures, readable
from ..data.streams import Stream, gives_batches, stream
from . import looping

CHUNK = 2**24  # bytes
MANY = 10_000  # pictures, which take seconds to read


def checked_inputs(
    data: Any,
    network: Layer | Network,
    what: str,
    *,
    deep: bool = True,
    workers: int | None = None,
    say: Callable[[str], None] | None = None,
) -> Dataset | Stream:
    """The data as a dataset or a stream, if its inputs can be used; ``deep`` looks at every number
    that is in memory.

    Pictures are read once, by ``workers`` threads, and kept where they leave room; ``say`` is told
    how long that took.

    Raises:
        ValueError: no examples, NaN or infinite inputs, another shape than the network was made
            for, axes that look swapped, or files that cannot be read, which are listed.
        TypeError: inputs that are no numbers, or no dataset at all.
    """
    dataset = _opened(data, what, workers, say)
    if dataset.weight is not None and not dataset.weight.any():
        raise ValueError(f"{what}: all weights are 0, so that nothing would count")
    example = first(dataset)
    leaves = jax.tree.leaves(example)
    if any(0 in leaf.shape[1:] for leaf in leaves):
        raise ValueError(f"{what}: an example is {describe(example)}, which holds no numbers")
    made_for = network.input if isinstance(network, Network) else None
    if made_for is not None and len(leaves) == 1:
        whole = getattr(dataset.x, "shape", None)
        _check_shape(leaves[0].shape[1:], made_for.shape, what, one=whole == made_for.shape)
    if deep:
        if len(leaves) == 1 and made_for is None:
            _check_axes(leaves[0], what)
        if isinstance(dataset.x, np.ndarray | jax.Array):
            check_finite(dataset.x, what)
    return dataset


def _opened(
    data: Any, what: str, workers: int | None, say: Callable[[str], None] | None
) -> Dataset | Stream:
    if gives_batches(data):
        return data if isinstance(data, Stream) else stream(data, name=what)
    given, begun = as_dataset(data, name=what), time.perf_counter()
    if say is not None and isinstance(given.x, Pictures) and len(given) >= MANY:
        say(f"{what}: reading {len(given):,} pictures")
    dataset = readable(given, workers=workers, room=looping.ROOM, say=say) if len(given) else given
    if len(dataset) == 0:
        raise ValueError(f"{what} is empty: at least one example is needed")
    seconds = time.perf_counter() - begun
    if say is not None and (dataset is not given or seconds > 0.1):
        say(f"{what}: {len(dataset):,} examples read in {seconds:.1f} s")
    return dataset


def first(data: Dataset | Stream, column: str = "x") -> np.ndarray:
    """The inputs of the first example, or its targets, with a batch axis of one."""
    if isinstance(data, Stream):
        return data.first[column][:1]
    return np.asarray(data[np.arange(1)][("x", "y").index(column)])


def check_finite(x: Any, what: str) -> None:
    """Refuses NaN and infinity, and says where the first one is."""
    x = np.asarray(x)
    if x.dtype.kind in "iub" or x.size == 0 or np.isfinite(x.sum(dtype=np.float64)):
        return
    count = min(len(x), -(-x.nbytes // CHUNK))
    parts = np.array_split(x, count)  # one at a time: x may be a file larger than memory
    finite = [np.isfinite(part.astype(np.float32)).reshape(len(part), -1).all(1) for part in parts]
    bad = np.flatnonzero(~np.concatenate(finite))
    if len(bad):
        raise ValueError(
            f"{what}: {len(bad)} of {len(x)} examples hold NaN or infinity, first x[{bad[0]}]; "
            "leave them out, or mend them with np.nan_to_num"
        )


def check_labels(y: Any, outputs: Any, loss: Any, what: str) -> None:
    """Refuses targets that do not fit the loss and the outputs ``[n, ...]`` of the model.

    Raises:
        ValueError: classes out of range, or shapes that differ.
        TypeError: floats where classes are needed.
    """
    y = np.asarray(y)
    form = losses.output_of(loss)
    if form == "softmax":
        _check_classes(y, outputs.shape[-1], outputs, what)
    elif form == "sigmoid":
        if y.size and (y.min() < 0 or y.max() > 1):
            raise ValueError(
                f"{what}: targets must lie between 0 and 1, got {y.min()} to {y.max()}"
            )
        _check_same_shape(y, outputs, what)
    elif form in ("identity", "exp"):
        if y.dtype.kind not in "fiub":
            raise TypeError(f"{what}: targets must be numbers, got {y.dtype}")
        check_finite(y, f"{what} (targets)")
        _check_same_shape(y, outputs, what)


def check_ending(model: Layer | Network, loss: Any) -> None:
    """Refuses a final softmax before a loss on logits: it would flatten the gradient in silence."""
    layer = model.layer if isinstance(model, Network) else model
    ending = _last_part(layer.made_by)
    if ending is None or losses.output_of(loss) not in ("softmax", "sigmoid"):
        return
    name = getattr(loss, "__name__", "the loss")
    if ending.name in ("softmax", "sigmoid"):
        raise ValueError(
            f"the model ends in {ending.name}, but {name} takes logits; remove the last layer "
            "(predict gives probabilities all the same)"
        )
    if ending.name == "log_softmax":
        warnings.warn(
            f"the model ends in log_softmax, which {name} applies by itself; it changes nothing "
            "and can be removed",
            UserWarning,
            stacklevel=3,
        )


def outputs_of(model: Layer | Network, x: Any) -> Any:
    """Shapes and dtypes of the outputs for one example; impossible networks are refused here."""
    layer = model.layer if isinstance(model, Network) else model
    return out_spec(layer, spec(x))


def _check_shape(got: tuple[int, ...], made_for: tuple[int, ...], what: str, one: bool) -> None:
    if len(got) == len(made_for) and got[-1:] == made_for[-1:]:
        return
    if one:
        hint = "; for a single example write x[None]"
    elif len(got) + 1 == len(made_for):
        hint = "; for a missing channel axis write x[..., None]"
    elif len(got) == len(made_for):
        hint = f"; it has {got[-1]} channels in place of {made_for[-1]}"
    else:
        hint = ""
    raise ValueError(
        f"{what}: the network was made for inputs {_shape(made_for)}, got {_shape(got)}{hint}"
    )


def _check_axes(x: np.ndarray, what: str) -> None:
    if x.ndim == 4 and x.shape[1] in (1, 3) and x.shape[2] == x.shape[3] > 4:
        raise ValueError(
            f"{what}: inputs {_shape(x.shape[1:])} look like channels first; "
            "fcnn takes [n, height, width, channels]: write x.transpose(0, 2, 3, 1)"
        )
    if x.ndim == 3 and x.shape[1] == x.shape[2] >= 8:
        raise ValueError(
            f"{what}: inputs {_shape(x.shape[1:])} look like pictures without a channel axis; "
            "write x[..., None] (check=False if they are sequences)"
        )


def _check_classes(y: np.ndarray, classes: int, outputs: Any, what: str) -> None:
    if y.dtype.kind == "f" and y.ndim < 2:
        raise TypeError(
            f"{what}: labels are {y.dtype}, but this loss needs integers or one-hot rows; "
            "write y.astype(int), or for numbers to predict loss=fcnn.losses.squared_error"
        )
    if y.dtype.kind == "f" or y.shape[1:] == outputs.shape[1:]:
        if y.shape[1:] != outputs.shape[1:]:
            raise ValueError(
                f"{what}: one-hot labels {_shape(y.shape[1:])} for outputs "
                f"{_shape(outputs.shape[1:])}; the last axis must be the {classes} classes"
            )
        check_finite(y, f"{what} (labels)")
        if y.min() < 0 or abs(y.sum(-1) - 1).max() > 1e-3:
            raise ValueError(
                f"{what}: one-hot or soft labels must be at least 0 and sum to 1 in each row"
            )
        return
    if y.dtype.kind not in "iub":
        raise TypeError(f"{what}: labels must be integers, one-hot rows or strings, got {y.dtype}")
    if y.shape[1:] != outputs.shape[1:-1]:
        raise ValueError(
            f"{what}: labels {describe(y)} for outputs {_shape(outputs.shape[1:])}; "
            f"expected one class per output, {_shape(('n', *outputs.shape[1:-1]))}"
            + ("; write y[:, 0]" if y.shape[1:] == (1,) else "")
        )
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise ValueError(
            f"{what}: label {wrong} is out of range for {classes} outputs (0 to {classes - 1}); "
            + ("labels count from 0" if low >= 0 else "labels must not be negative")
            + (f", or end the model in dense({high + 1})" if high >= classes else "")
        )


def _check_same_shape(y: np.ndarray, outputs: Any, what: str) -> None:
    wanted = outputs.shape[1:]
    if y.shape[1:] not in (wanted, wanted[:-1] if wanted[-1:] == (1,) else wanted):
        raise ValueError(
            f"{what}: targets {_shape(('n', *y.shape[1:]))} for outputs {_shape(('n', *wanted))}; "
            "they must have the same shape"
        )


def _last_part(recipe: Any) -> Named | None:
    match recipe:
        case Named():
            return recipe
        case Recipe(name="serial"):
            parts = (*recipe.args, *recipe.options.values())
            return _last_part(parts[-1]) if parts else None
    return None


def _shape(shape: tuple[Any, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
