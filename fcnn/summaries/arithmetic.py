"""How much a traced program computes.

The count is of the program that JAX compiles, so it holds for any code, whatever layers it is made of.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


def traced(fn: Callable, *args: Any) -> Jaxpr:
    """The program of ``fn`` for inputs like ``args``; nothing is computed."""
    return jax.make_jaxpr(lambda *args: fn(*args))(*args).jaxpr  # a new function: no trace of before


def multiply_adds(program: Jaxpr) -> int:
    """Multiply-adds of all convolutions and matrix products, those with padding included.

    A scan counts ``length`` times, of the branches of a condition the largest; the body of a while
    loop counts once, for nobody knows how often it runs.
    """
    return sum(map(_multiply_adds, program.eqns))


def _multiply_adds(eqn: JaxprEqn) -> int:
    match eqn.primitive.name:
        case "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            shape = eqn.invars[0].aval.shape
            return eqn.outvars[0].aval.size * prod(shape[d] for d in contracted)
        case "conv_general_dilated":
            x, kernel = (var.aval for var in eqn.invars)
            features, inputs, *_ = (kernel.shape[d] for d in eqn.params["dimension_numbers"].rhs_spec)
            if prod(eqn.params["lhs_dilation"]) > 1:  # transposed: each input meets the whole kernel
                return x.size * kernel.size // (inputs * eqn.params["feature_group_count"])
            return eqn.outvars[0].aval.size * kernel.size // features
        case "scan":
            return eqn.params["length"] * multiply_adds(eqn.params["jaxpr"].jaxpr)
        case "cond":
            return max(multiply_adds(branch.jaxpr) for branch in eqn.params["branches"])
    return sum(map(multiply_adds, bodies(eqn)))


def bodies(eqn: JaxprEqn) -> list[Jaxpr]:
    """The programs that an equation runs."""
    found = jax.tree.leaves(
        list(eqn.params.values()), is_leaf=lambda leaf: isinstance(leaf, Jaxpr | ClosedJaxpr)
    )
    open_ = (body.jaxpr if isinstance(body, ClosedJaxpr) else body for body in found)
    return [body for body in open_ if isinstance(body, Jaxpr)]
