"""Gradient descent on batches as scikit-learn runs it: many epochs in one program.

The order of the examples comes from the host, so that the same ``random_state`` means the same
batches there and here. A program is compiled for a layer, a solver and a size of the data; rates,
penalties and tolerances are its arguments, and examples lie in one of a few sizes of room, so that
a search over them, with all of its folds, compiles once.
"""

import functools
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.flatten_util import ravel_pytree

from ..core import Layer
from ..train.compiling import compiled
from .objectives import OBJECTIVES, penalty

EPOCHS = 64  # at most, in one call
NUMBERS = 2**22  # at most, in the orders of the epochs of one call
SECONDS = 0.2  # a call takes about as long, so that Ctrl-C is heard

Tree = dict[str, Any]


class Plan(NamedTuple):
    """What a program is compiled for.

    Attributes:
        layer: The perceptron.
        activation: That of its outputs, which names the objective.
        solver: "adam" or "sgd".
        schedule: What becomes of the learning rate of "sgd".
        nesterov: Whether its momentum looks ahead.
        size: Rows of a batch.
        random: Whether the layer needs a key.
    """

    layer: Layer
    activation: str
    solver: str
    schedule: str
    nesterov: bool
    size: int
    random: bool


def room(n: int) -> int:
    """A size for ``n`` rows, one of few: less than an eighth more."""
    step = 2 ** max(0, n.bit_length() - 4)
    return -(-n // step) * step


def placed(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Tree:
    """Examples with room to spare, which weighs nothing."""
    n = len(x)
    spare = room(n) - n
    columns = {"x": x, "y": y, "weight": weight}
    wider = {k: np.pad(v, [(0, spare)] + [(0, 0)] * (v.ndim - 1)) for k, v in columns.items()}
    return jax.device_put({**wider, "n": np.int32(n)})


def descend(
    plan: Plan,
    now: Tree,
    data: Tree,
    held_out: Tree | None,
    options: Tree,
    *,
    batch: int,
    epochs: int,
    order: Callable[[], np.ndarray],
    tell: Callable[[int, float, float], None],
) -> tuple[Tree, list[float], list[float]]:
    """Runs epochs until one of them ends the run, or Ctrl-C.

    Args:
        plan: The program.
        now: What changes: ``params, state, slots, step, rate, seen, best_loss, best_score, idle,
            best, key`` and ``going``.
        data: The examples, from ``placed``.
        held_out: Those by whose score the run ends and the best values are chosen, if any.
        options: ``alpha, rate, beta_1, beta_2, epsilon, momentum, power_t, tol, patience``.
        batch: Examples in a step; the last of an epoch takes what is left.
        epochs: How many there are at most.
        order: Gives the order of the next epoch, [n].
        tell: Is told number, loss and score of each epoch that is done.

    Returns:
        What has become of ``now``, on the host, and the loss and the score of each epoch.
    """
    program, n = _program(plan), int(data["n"])
    options = {name: np.float32(option) for name, option in options.items()}
    rows = max(1, min(EPOCHS, NUMBERS // len(data["x"])))
    orders = np.zeros((rows, len(data["x"])), np.int32)
    losses, scores, count, going = [], [], 1, True
    try:
        while going and len(losses) < epochs:
            count = min(count, rows, epochs - len(losses))
            for row in range(count):
                orders[row, :n] = order()
            begun = time.perf_counter()
            limits = np.int32(batch), np.int32(count)
            after, *seen = program(now, data, held_out, orders, *limits, options)
            loss, score, taken, going = jax.device_get((*seen, after["going"]))
            now = after
            count = max(1, int(taken * SECONDS / (time.perf_counter() - begun)))
            before = len(losses)
            losses += loss[:taken].tolist()
            scores += score[:taken].tolist()
            for number in range(before, len(losses)):
                tell(number + 1, losses[number], scores[number])
    except KeyboardInterrupt:
        warnings.warn("training was interrupted; what it has learned is kept", stacklevel=4)
    return jax.device_get(now), losses, scores


@functools.lru_cache(maxsize=64)
def _program(plan: Plan) -> Callable[..., Any]:
    """``(now, data, held_out, orders, batch, count, options) -> (now, losses, scores, taken)``."""
    objective = OBJECTIVES[plan.activation]
    direction = _adam if plan.solver == "adam" else functools.partial(_sgd, plan.nesterov)
    schedule = plan.schedule if plan.solver == "sgd" else "constant"

    def run(now, data, held_out, orders, batch, count, options):
        # One vector for all parameters: a solver is then one kernel, and not one for each layer.
        first, unravel = ravel_pytree(now["params"])
        n, key = data["n"], now["key"]

        def step(order, rate, number, carry):
            flat, state, slots, steps, total = carry
            x, y, weight, real = _batch(plan.size, data, order, batch, number)
            whole = jnp.where(weight.sum() == 0, 1, weight.sum())

            def mean_loss(flat):
                drawn = random.fold_in(key, steps) if plan.random else None
                params = unravel(flat)
                z, new = plan.layer.apply(params, state, x, train=True, key=drawn)
                loss = (objective.loss(z, y) * weight).sum() / whole
                weighed = penalty(params, options["alpha"]) / whole
                return loss + weighed, (objective.reported(loss, y) + weighed, new)

            (_, (loss, state)), gradient = jax.value_and_grad(mean_loss, has_aux=True)(flat)
            change, slots = direction(gradient, slots, steps + 1, rate, options)
            return flat + change, state, slots, steps + 1, total + loss * real

        def epoch(looping):
            number, at, flat, losses, scores = looping
            begin = (flat, at["state"], at["slots"], at["step"], jnp.float32(0))
            one = functools.partial(step, orders[number], at["rate"])
            end = lax.fori_loop(0, (n + batch - 1) // batch, one, begin)
            flat, state, slots, steps, total = end
            loss = total / n
            at = {**at, "state": state, "slots": slots, "step": steps, "seen": at["seen"] + n}
            if held_out is None:
                score, worse = loss, loss > at["best_loss"] - options["tol"]
                at["best_loss"] = jnp.where(loss < at["best_loss"], loss, at["best_loss"])
            else:
                here = (unravel(flat), state)
                z, _ = plan.layer.apply(*here, held_out["x"])
                score = objective.score(z, held_out["y"], held_out["weight"])
                best, worse = at["best_score"], score < at["best_score"] + options["tol"]
                at["best"] = lax.cond(score > best, lambda: here, lambda: at["best"])
                at["best_score"] = jnp.where(score > best, score, best)
            at |= _ending(schedule, at, worse, options)
            at["going"] &= jnp.isfinite(loss)
            return number + 1, at, flat, losses.at[number].set(loss), scores.at[number].set(score)

        rest = {name: part for name, part in now.items() if name != "params"}
        blank = jnp.zeros(len(orders), jnp.float32)
        looping = lax.while_loop(
            lambda looping: (looping[0] < count) & looping[1]["going"],
            epoch,
            (jnp.int32(0), rest, first, blank, blank),
        )
        number, rest, flat, losses, scores = looping
        return {**rest, "params": unravel(flat)}, losses, scores, number

    return compiled(run)


def _batch(size: int, data: Tree, order: Any, batch: Any, number: Any) -> tuple[Any, ...]:
    """``(x, y, weight, real)`` of a batch by its number; ``real`` is how many examples it has.

    Rows beyond these are other examples, at weight 0, so that a batch norm sees no blanks.
    """
    place = jnp.arange(size, dtype=jnp.int32)
    position = number * batch + place
    index = order.at[position % data["n"]].get(mode="promise_in_bounds")
    x, y, weight = (
        data[name].at[index].get(mode="promise_in_bounds") for name in ("x", "y", "weight")
    )
    real = (place < batch) & (position < data["n"])
    return x, y, jnp.where(real, weight, 0), real.sum()


def _adam(gradient, slots, step, rate, options):
    """Adam, its epsilon as in section 2 of the paper (arXiv:1412.6980): added last."""
    b1, b2 = options["beta_1"], options["beta_2"]
    mean = b1 * slots[0] + (1 - b1) * gradient
    square = b2 * slots[1] + (1 - b2) * gradient**2
    rate = rate * jnp.sqrt(1 - b2**step) / (1 - b1**step)
    return -rate * mean / (jnp.sqrt(square) + options["epsilon"]), (mean, square)


def _sgd(nesterov, gradient, slots, step, rate, options):
    """Momentum; Nesterov's looks one step ahead."""
    velocity = options["momentum"] * slots[0] - rate * gradient
    change = options["momentum"] * velocity - rate * gradient if nesterov else velocity
    return change, (velocity,)


def _ending(schedule: str, at: Tree, worse: Any, options: Tree) -> Tree:
    """Whether an epoch was the last, and the learning rate of the next."""
    idle, rate = jnp.where(worse, at["idle"] + 1, 0), at["rate"]
    if schedule == "invscaling":
        rate = options["rate"] / (at["seen"] + 1) ** options["power_t"]
    over = idle > options["patience"]
    if schedule == "adaptive":
        lower = over & (rate > 1e-6)
        rate, idle = jnp.where(lower, rate / 5, rate), jnp.where(lower, 0, idle)
        over &= ~lower
    return {"idle": idle, "rate": rate, "going": at["going"] & ~over}
