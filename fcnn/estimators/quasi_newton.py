"""L-BFGS on all examples at once: a run is one program.

The steps are those of ``optax.lbfgs`` with ten pairs and a line search for the strong Wolfe
conditions (Liu and Nocedal, 1989, doi:10.1007/BF01589116), the ends those of scikit-learn: a small
gradient, no more decrease, or too many steps or evaluations.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.flatten_util import ravel_pytree

from ..core import Layer
from ..train.compiling import compiled
from .objectives import OBJECTIVES, penalty

DECREASE = 2.2e-9  # of the loss, relative to its size or to 1; below, a run has converged


class Minimum(NamedTuple):
    """Where a run ended.

    Attributes:
        params: The parameters.
        loss: The loss there, as it is reported.
        steps: How many steps it took.
        converged: Whether more would not have helped.
    """

    params: Any
    loss: float
    steps: int
    converged: bool


def minimize(
    layer: Layer,
    activation: str,
    params: Any,
    data: dict[str, Any],
    *,
    alpha: float,
    tol: float,
    steps: int,
    evaluations: int,
) -> Minimum:
    """Follows the loss of all examples down, from ``params`` on.

    Args:
        layer: The perceptron.
        activation: That of its outputs, which names the objective.
        params: Where to begin.
        data: The examples, from ``descent.placed``.
        alpha: The strength of the penalty on weights.
        tol: The largest slope in any direction at which a run ends.
        steps: How many there are at most.
        evaluations: Of the loss, at most; a line search under way is brought to its end.
    """
    limits = np.float32(alpha), np.float32(tol), np.int32(steps), np.int32(evaluations)
    return Minimum(*jax.device_get(_program(layer, activation)(params, data, *limits)))


@functools.lru_cache(maxsize=64)
def _program(layer: Layer, activation: str) -> Callable[..., Any]:
    """``(params, data, alpha, tol, steps, evaluations) -> (params, loss, steps, converged)``."""
    objective, solver = OBJECTIVES[activation], optax.lbfgs()

    def run(params, data, alpha, tol, steps, evaluations):
        start, unravel = ravel_pytree(params)
        x, y, weight = data["x"], data["y"], data["weight"]
        whole = weight.sum()

        def parts(flat):
            params = unravel(flat)
            z, _ = layer.apply(params, {}, x)
            return (objective.loss(z, y) * weight).sum() / whole, penalty(params, alpha) / whole

        def total(flat):
            return sum(parts(flat))

        def goes_on(at):
            _, _, _, slope, taken, evaluated, falling = at
            left = (taken < steps) & (evaluated < evaluations)
            return left & falling & (jnp.abs(slope).max() > tol)

        def step(at):
            flat, memory, value, slope, taken, evaluated, _ = at
            change, memory = solver.update(
                slope, memory, flat, value=value, grad=slope, value_fn=total
            )
            found = memory[-1]  # what the line search saw where it ended
            size = jnp.maximum(jnp.maximum(jnp.abs(value), jnp.abs(found.value)), 1)
            falling = value - found.value > DECREASE * size
            better = found.value < value
            return (
                jnp.where(better, flat + change, flat),
                memory,
                jnp.where(better, found.value, value),
                jnp.where(better, found.grad, slope),
                taken + 1,
                evaluated + found.info.num_linesearch_steps,
                falling,
            )

        value, slope = jax.value_and_grad(total)(start)
        begin = (start, solver.init(start), value, slope, jnp.int32(0), jnp.int32(1), True)
        at = lax.while_loop(goes_on, step, begin)
        flat, _, _, slope, taken, _, falling = at
        loss, weighed = parts(flat)
        converged = ~falling | (jnp.abs(slope).max() <= tol)
        return unravel(flat), objective.reported(loss, y) + weighed, taken, converged

    return compiled(run)
