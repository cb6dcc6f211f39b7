"""Twenty steps of a small network on real digits, by our step and by torch's optimizers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import fcnn
from fcnn import batch_norm, conv, dense, flatten, max_pool, relu, serial
from fcnn.core import trees

from . import theirs

STEPS, BATCH = 20, 16
MODEL = serial(
    *(conv(4, bias=False), batch_norm(), relu, max_pool(2)),
    *(conv(6), relu),
    *(flatten, dense(10)),
)


class Optimizer(NamedTuple):
    """The same optimizer twice."""

    name: str
    ours: optax.GradientTransformation
    theirs: Callable[[Any, list[Any]], Any]  # (torch, parameters) -> optimizer


OPTIMIZERS = [
    Optimizer(
        "sgd",
        optax.sgd(0.05, momentum=0.9),
        lambda torch, parameters: torch.optim.SGD(parameters, 0.05, momentum=0.9),
    ),
    Optimizer(
        "sgd, nesterov",
        optax.sgd(0.05, momentum=0.9, nesterov=True),
        lambda torch, parameters: torch.optim.SGD(parameters, 0.05, momentum=0.9, nesterov=True),
    ),
    Optimizer(
        "adam",
        optax.adam(0.01),
        lambda torch, parameters: torch.optim.Adam(parameters, 0.01),
    ),
    Optimizer(
        "adamw",
        optax.adamw(0.01, weight_decay=0.1),
        lambda torch, parameters: torch.optim.AdamW(parameters, 0.01, weight_decay=0.1),
    ),
]


def batches():
    """The first pictures of the digits, in order."""
    train, _ = fcnn.data.digits()
    for start in range(0, STEPS * BATCH, BATCH):
        chosen = slice(start, start + BATCH)
        yield {"x": train.x[chosen], "y": train.y[chosen]}


def initial_values():
    """Parameters and state by path, to be stored: what a seed gives may change with jax."""
    params, state = MODEL.init(jax.random.key(1), next(batches())["x"])
    return {
        f"{kind}/{path}": np.asarray(value)
        for kind, tree in (("params", params), ("state", state))
        for path, value in trees.flat(tree).items()
    }


def our_losses(optimizer, params, state):
    network = fcnn.Network(MODEL, params, state)
    ts = fcnn.train.start(network, optimizer.ours, jax.random.key(0))
    step = fcnn.train.make_step(MODEL, optimizer=optimizer.ours)
    losses = []
    for batch in batches():
        ts, metrics = step(ts, batch)
        losses.append(metrics["loss"])
    return np.asarray(losses)


def their_losses(torch, optimizer, params, state):
    """The same in torch and float64, from the same values by path."""
    values = {path: torch.tensor(value, dtype=torch.float64) for path, value in params.items()}
    parameters = [value.requires_grad_() for value in values.values()]
    values |= {path: torch.tensor(value, dtype=torch.float64) for path, value in state.items()}
    stepper = optimizer.theirs(torch, parameters)
    losses = []
    for batch in batches():
        x, y = torch.tensor(batch["x"], dtype=torch.float64), torch.tensor(batch["y"]).long()
        loss = torch.nn.functional.cross_entropy(theirs.small_cnn(torch, values, x), y)
        stepper.zero_grad()
        loss.backward()
        stepper.step()
        losses.append(loss.item())
    return np.array(losses)
