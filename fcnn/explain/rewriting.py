"""A network as a list of equations, and what it computes when some of them have other rules.

JAX writes down any function as equations between arrays, its jaxpr. There a relu is one equation,
whether it ran as a layer or was called in the body of a ``wire``, inside ``repeat`` or not: a
method that changes the rule of an equation reaches all of them, and sees those it has no rule for.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

Rule: TypeAlias = Callable[[JaxprEqn, list[Any]], Sequence[Any]]  # (eqn, inputs) -> outputs


def words(names: str) -> frozenset[str]:
    """Names of primitives, as one text."""
    return frozenset(names.split())


CALLS = words(
    "call checkpoint closed_call core_call custom_jvp_call custom_vjp_call jit pjit remat2"
)
ELEMENTWISE = words("""
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp
    convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor
    ge gt integer_pow is_finite le lgamma log log1p logistic lt max min mul name ne neg nextafter
    not or pow reduce_precision rem round rsqrt select_n sign sin sinh sqrt square sub tan tanh xor
""")


def evaluate(program: Jaxpr | ClosedJaxpr, values: Sequence[Any], rule: Rule) -> list[Any]:
    """What a program computes from ``values`` when each equation follows ``rule``."""
    known = dict(zip(program.constvars, getattr(program, "consts", ()), strict=True))
    known.update(zip(program.invars, values, strict=True))

    def read(atom):
        return atom.val if isinstance(atom, Literal) else known[atom]

    for eqn in program.eqns:
        known.update(zip(eqn.outvars, rule(eqn, [*map(read, eqn.invars)]), strict=True))
    return [*map(read, program.outvars)]


def plainly(eqn: JaxprEqn, values: Sequence[Any]) -> Sequence[Any]:
    """The rule of JAX itself."""
    outputs = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return outputs if eqn.primitive.multiple_results else [outputs]


def bodies(eqn: JaxprEqn) -> list[Jaxpr | ClosedJaxpr]:
    """The programs that an equation runs."""
    programs = Jaxpr | ClosedJaxpr
    found = jax.tree.leaves([*eqn.params.values()], is_leaf=lambda leaf: isinstance(leaf, programs))
    return [body for body in found if isinstance(body, programs)]


def called(eqn: JaxprEqn) -> Jaxpr | ClosedJaxpr | None:
    """The program that an equation only calls, once and with its own inputs."""
    return bodies(eqn)[0] if eqn.primitive.name in CALLS else None


def elementwise(eqn: JaxprEqn) -> bool:
    """Whether each element of the output depends on that element of the inputs alone."""
    if (body := called(eqn)) is not None:
        return all(map(elementwise, body.eqns))
    return eqn.primitive.name in ELEMENTWISE


def scanned(
    eqn: JaxprEqn, values: Sequence[Any], run: Callable[[Any, list[Any]], list[Any]]
) -> list[Any]:
    """A scan whose body is run by ``run(body, values)``; values may be pytrees of arrays."""
    (body,) = bodies(eqn)
    carries = sum(map(_same_rank, eqn.outvars, body.outvars))  # what is stacked has an axis more
    last = sum(map(_same_rank, eqn.invars, body.invars))
    fixed, start, slices = values[: last - carries], values[last - carries : last], values[last:]

    def step(carry, inner):
        outputs = run(body, [*fixed, *carry, *inner])
        return outputs[:carries], outputs[carries:]

    length, reverse = eqn.params["length"], eqn.params["reverse"]
    carry, stacked = lax.scan(step, [*start], [*slices], length=length, reverse=reverse)
    return [*carry, *stacked]


def place(eqn: JaxprEqn) -> str:
    """Where in the network an equation stands, for the text of errors."""
    path = str(eqn.source_info.name_stack)
    return f" in {path}" if path else ""


def _same_rank(a: Any, b: Any) -> bool:
    return len(a.aval.shape) == len(b.aval.shape)
