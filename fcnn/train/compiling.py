"""Compilation of what runs again and again: in blocks of memory that CPUs can reuse.

XLA's CPU backend takes the memory for all intermediate arrays of a call as one block, and gives it
back after the call. Blocks above 32 MiB come fresh from the operating system every time, and each
page of them costs a fault: a third of the time of a step of ``mnist_cnn`` at batch size 128.
Smaller blocks are reused.
"""

import functools
from collections.abc import Callable
from math import prod
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

BLOCK = 32_000_000  # bytes; the C library's largest threshold for reuse is 32 MiB
OPTIONS = {"xla_multiheap_size_constraint_per_heap": BLOCK}


def compiled(function: Callable[..., Any], *, donate: tuple[int, ...] = ()) -> Callable[..., Any]:
    """``jax.jit(function, donate_argnums=donate)``, in small blocks of memory on CPUs.

    Results do not depend on it. Where it cannot be had it is left out: within other
    transformations, with arrays of half a block or more, or where XLA does not know the option.
    """
    plain = jax.jit(function, donate_argnums=donate)
    chosen = None

    @functools.wraps(function)
    def run(*args, **named):
        nonlocal chosen
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, named))):
            return plain(*args, **named)
        if chosen is None:
            program = plain.trace(*args, **named).jaxpr
            small = jax.default_backend() == "cpu" and 2 * _largest(program) <= BLOCK
            options = OPTIONS if small and _known() else None
            chosen = jax.jit(function, donate_argnums=donate, compiler_options=options)
        return chosen(*args, **named)

    run.lower, run.trace = plain.lower, plain.trace
    return run


@functools.cache
def _known() -> bool:
    """Whether this XLA has the option, which is not part of any interface."""
    try:
        jax.jit(lambda x: x, compiler_options=OPTIONS).lower(0.0).compile()
    except Exception:  # of a type that the versions of jax do not agree on
        return False
    return True


def _largest(program: Jaxpr | ClosedJaxpr) -> int:
    """Bytes of the largest array that a program makes."""
    program = getattr(program, "jaxpr", program)
    sizes = [0]
    for eqn in program.eqns:
        sizes += [
            prod(var.aval.shape) * var.aval.dtype.itemsize
            for var in eqn.outvars
            if hasattr(var.aval, "shape")
        ]
        inner = jax.tree.leaves(
            list(eqn.params.values()), is_leaf=lambda p: isinstance(p, Jaxpr | ClosedJaxpr)
        )
        sizes += [_largest(p) for p in inner if isinstance(p, Jaxpr | ClosedJaxpr)]
    return max(sizes)
