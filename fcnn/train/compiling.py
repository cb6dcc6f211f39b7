"""Compilation of what runs again and again on CPUs: sooner done, and in memory that is reused.

XLA's CPU backend takes the memory for all intermediate arrays of a call as one block, and gives it
back after the call. Blocks above 32 MiB come fresh from the operating system every time, and each
page of them costs a fault: a third of the time of a step of ``mnist_cnn`` at batch size 128.
Smaller blocks are reused.

LLVM's first level of optimization gives steps as fast as its third, which is the default: what
takes time is chosen by XLA, or is in its libraries. ResNet-20 compiles in 3.9 s instead of 4.9 s.
"""

import functools
from collections.abc import Callable
from math import prod
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxprs_in_params

BLOCK = 32_000_000  # bytes; the C library's largest threshold for reuse is 32 MiB
SOON = ("xla_backend_optimization_level", 1)
BLOCKS = ("xla_multiheap_size_constraint_per_heap", BLOCK)


def compiled(function: Callable[..., Any], *, donate: tuple[int, ...] = ()) -> Callable[..., Any]:
    """``jax.jit(function, donate_argnums=donate)``, with options for CPUs that suit training.

    They are left out where they cannot be had: within other transformations, or where XLA does not
    know them. Arrays of half a block or more are left in one block.
    """
    plain, chosen = jax.jit(function, donate_argnums=donate), {}

    @functools.wraps(function)
    def run(*args, **named):
        leaves = jax.tree.leaves((args, named))
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return plain(*args, **named)
        shapes = tuple(getattr(leaf, "shape", ()) for leaf in leaves)
        if shapes not in chosen:
            options = _options(plain.trace(*args, **named).jaxpr)
            chosen[shapes] = jax.jit(function, donate_argnums=donate, compiler_options=options)
        return chosen[shapes](*args, **named)

    run.lower, run.trace = plain.lower, plain.trace
    return run


def _options(program: Jaxpr) -> dict[str, int] | None:
    if jax.default_backend() != "cpu":
        return None
    small = 2 * _largest(program) <= BLOCK
    return {**_known(SOON), **(_known(BLOCKS) if small else {})} or None


@functools.cache
def _known(option: tuple[str, int]) -> dict[str, int]:
    """The option, if XLA knows it: these are not part of any interface."""
    options = dict([option])
    try:
        jax.jit(lambda x: x, compiler_options=options).lower(0.0).compile()
    except Exception:  # of a type that the versions of jax do not agree on
        return {}
    return options


def _largest(program: Jaxpr | ClosedJaxpr) -> int:
    """Bytes of the largest array that a program makes."""
    sizes = [0]
    for eqn in getattr(program, "jaxpr", program).eqns:
        window = getattr(eqn.params.get("at"), "window", ())
        planes = window[0] if len(window) == 3 else 0  # of a volume, as so many planes together
        sizes += [max(planes, 1) * _bytes(var) for var in eqn.outvars]
        sizes += [planes * _bytes(var) for var in eqn.invars]
        sizes += map(_largest, jaxprs_in_params(eqn.params))
    return max(sizes)


def _bytes(var: Any) -> int:
    shape = getattr(var.aval, "shape", None)
    return 0 if shape is None else prod(shape) * var.aval.dtype.itemsize
