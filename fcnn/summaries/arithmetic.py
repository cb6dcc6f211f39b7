"""How much a traced program computes.

The count is of the program that JAX compiles: it holds for any code, whatever it is made of.
"""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from ..ops import lowering


def traced(fn: Callable, *args: Any) -> Jaxpr:
    """The program of ``fn`` for inputs like ``args``, in lax's own operations.

    Nothing is computed.
    """
    fresh = partial(fn)  # jax keeps traces by function, and one of before shows observers nothing
    with lowering("native"):
        return jax.make_jaxpr(fresh)(*args).jaxpr


def multiply_adds(program: Jaxpr) -> int:
    """Multiply-adds of all convolutions and matrix products, those with padding included.

    A scan counts ``length`` times, of the branches of a condition the largest; the body of a while
    loop counts once, for nobody knows how often it runs.
    """
    return sum(map(_multiply_adds, program.eqns))


def bodies(eqn: JaxprEqn) -> list[Jaxpr]:
    """The programs that an equation runs."""
    found = jax.tree.leaves(
        list(eqn.params.values()), is_leaf=lambda leaf: isinstance(leaf, Jaxpr | ClosedJaxpr)
    )
    opened = (body.jaxpr if isinstance(body, ClosedJaxpr) else body for body in found)
    return [body for body in opened if isinstance(body, Jaxpr)]


def _multiply_adds(eqn: JaxprEqn) -> int:
    match eqn.primitive.name:
        case "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            sides = eqn.invars[0].aval.shape
            return eqn.outvars[0].aval.size * prod(sides[dim] for dim in contracted)
        case "conv_general_dilated":
            x, kernel = (var.aval for var in eqn.invars)
            features, channels, *_ = eqn.params["dimension_numbers"].rhs_spec
            if prod(eqn.params["lhs_dilation"]) > 1:  # transposed: each input meets a whole kernel
                groups = eqn.params["feature_group_count"]
                return x.size * kernel.size // (kernel.shape[channels] * groups)
            return eqn.outvars[0].aval.size * kernel.size // kernel.shape[features]
        case "scan":
            return eqn.params["length"] * sum(map(multiply_adds, bodies(eqn)))
        case "cond":
            return max(map(multiply_adds, bodies(eqn)))
    return sum(map(multiply_adds, bodies(eqn)))
