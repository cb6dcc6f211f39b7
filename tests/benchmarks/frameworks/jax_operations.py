"""A function of arrays in JAX as a run, forward or forward and backward."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..cases import Settings
from ..operations import Operation, operands
from ..runs import Run


def run_of(
    operation: Operation, function: Callable[..., jax.Array], backward: bool, settings: Settings
) -> Run:
    """``function(x, *weights)``, compiled; backward gives its output and all its gradients."""
    arrays = [jnp.asarray(array, settings.dtype) for array in operands(operation)]
    if not backward:
        forward = jax.jit(function)
        return Run(lambda: forward(*arrays), jax.block_until_ready)

    @jax.jit
    def both(arrays, cotangent):
        fixed = arrays[:1] if operation.first else []
        y, pull = jax.vjp(lambda *free: function(*fixed, *free), *arrays[len(fixed) :])
        return y, pull(cotangent)

    cotangent = jnp.ones_like(jax.eval_shape(function, *arrays))
    return Run(lambda: both(arrays, cotangent), jax.block_until_ready)
