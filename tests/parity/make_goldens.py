"""Writes goldens.npz, what torch says to every case of the table.

    python -m tests.parity.make_goldens

torch computes in float64, so that the numbers, stored in float32, are right to the last digit. The
keys are ``case: x/0`` (an input), ``params/...`` and ``state/...`` in our form, ``y/0``,
``new_state/...``, and ``grad/x/0``, ``grad/params/...``: of ``sum(y * cotangent(y))``.
"""

import zlib
from pathlib import Path

import jax
import numpy as np

from fcnn.core import trees

from .cases import CASES
from .training import OPTIMIZERS, initial_values, their_losses

GOLDENS = Path(__file__).with_name("goldens.npz")


def cotangent(shape):
    """Fixed numbers, of no pattern that a layer could share."""
    return np.cos(np.arange(np.prod(shape, dtype=int))).reshape(shape)


def given(case):
    """Inputs and values for a case, drawn by its name."""
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    inputs = [draw(rng) for draw in case.inputs]
    made = {f"x/{i}": as_stored(x) for i, x in enumerate(inputs)}
    x = tuple(made.values()) if len(made) > 1 else made["x/0"]
    params, state = jax.eval_shape(case.ours.init, jax.random.key(0), x)
    for kind, tree in (("params", params), ("state", state)):
        for path, like in trees.flat(tree).items():
            made[f"{kind}/{path}"] = as_stored(draw_value(rng, path, like.shape))
    return made


def draw_value(rng, path, shape):
    """Numbers such as training might have led to; variances and scales lie around one."""
    value = 0.5 * rng.normal(size=shape)
    return np.exp(value) if path.endswith(("var", "scale")) else value


def answers(torch, case, record):
    """What torch says to a record of inputs and values."""

    def tensor(key, array):
        if array.dtype.kind == "i":
            return torch.tensor(array).long()
        return torch.tensor(array, dtype=torch.float64, requires_grad=not key.startswith("state/"))

    tensors = {key: tensor(key, array) for key, array in record.items()}
    xs = tuple(below(tensors, "x").values())
    state = below(tensors, "state")
    values = {**below(tensors, "params"), **state}
    ys = case.theirs(torch, values, xs if len(xs) > 1 else xs[0])
    ys = ys if isinstance(ys, tuple) else (ys,)
    sum((y * torch.tensor(cotangent(y.shape))).sum() for y in ys).backward()
    told = {f"y/{i}": y for i, y in enumerate(ys)}
    told |= {f"new_state/{path}": value for path, value in state.items()}
    told |= {f"grad/{key}": t.grad for key, t in tensors.items() if t.requires_grad}
    return {key: as_stored(value.detach().numpy()) for key, value in told.items()}


def below(record, kind):
    """The part of a record under ``kind/``, without that."""
    start = f"{kind}/"
    return {key.removeprefix(start): v for key, v in record.items() if key.startswith(start)}


def as_stored(array):
    array = np.asarray(array)
    return array.astype(np.int32 if array.dtype.kind == "i" else np.float32)


def read():
    """``{case: {key: array}}``."""
    records = {}
    with np.load(GOLDENS) as stored:
        for name in stored.files:
            case, key = name.split(": ")
            records.setdefault(case, {})[key] = stored[name]
    return records


def write(records):
    named = {f"{case}: {key}": v for case, record in records.items() for key, v in record.items()}
    np.savez_compressed(GOLDENS, **named)
    print(f"{GOLDENS.name}: {len(records)} records, {GOLDENS.stat().st_size:,} bytes")


def main():
    import torch

    torch.set_num_threads(1)
    records = {}
    for case in CASES:
        record = given(case)
        records[case.name] = record | answers(torch, case, record)
    start = initial_values()
    told = {
        optimizer.name: their_losses(
            torch, optimizer, below(start, "params"), below(start, "state")
        )
        for optimizer in OPTIMIZERS
    }
    records["training"] = start | {f"loss/{name}": as_stored(v) for name, v in told.items()}
    write(records)


if __name__ == "__main__":
    main()
