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
from jax.extend.core import ClosedJaxpr, Jaxpr

BLOCK = 32_000_000  # bytes; the C library's largest threshold for reuse is 32 MiB
SOON = ("xla_backend_optimization_level", 1)
BLOCKS = ("xla_multiheap_size_constraint_per_heap", BLOCK)


def compiled(function: Callable[..., Any], *, donate: tuple[int, ...] = ()) -> Callable[..., Any]:
    """``jax.jit(function, donate_argnums=donate)``, with options for CPUs that suit training.

    They are left out where they cannot be had: within other transformations, or where XLA does not
    know them. Arrays of half a block or more are left in one block.
    """
    plain = jax.jit(function, donate_argnums=donate)
    chosen = None

    @functools.wraps(function)
    def run(*args, **named):
        nonlocal chosen
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, named))):
            return plain(*args, **named)
        if chosen is None:
            options = None
            if jax.default_backend() == "cpu":
                small = 2 * _largest(plain.trace(*args, **named).jaxpr) <= BLOCK
                options = {**_known(SOON), **(_known(BLOCKS) if small else {})} or None
            chosen = jax.jit(function, donate_argnums=donate, compiler_options=options)
        return chosen(*args, **named)

    run.lower, run.trace = plain.lower, plain.trace
    return run


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
