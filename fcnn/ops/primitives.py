"""New JAX primitives: one mathematical definition, one program for the CPU and one for the rest.

A primitive is the right home for a choice by platform: it is made when a program is lowered, so it
holds for whatever device the program is compiled for, and stays hidden from differentiation and
``vmap``, which see the definition alone.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir, xla


def primitive(name: str, *, native: Callable[..., Any], cpu: Callable[..., Any]) -> Primitive:
    """A primitive computed by ``cpu`` on CPUs and by ``native`` elsewhere.

    Both take the operands and, by keyword, the parameters (hashable), and return one array of the
    same shape and dtype. Rules for derivatives and batching are the caller's to add.
    """
    made = Primitive(name)
    made.def_impl(partial(xla.apply_primitive, made))

    @lru_cache(maxsize=4096)
    def abstract(*operands, **parameters):
        (out,) = jax.make_jaxpr(partial(native, **parameters))(*map(_bare, operands)).out_avals
        placed = operands[0].sharding.update(spec=(None,) * out.ndim)
        return out.update(sharding=placed, manual_axis_type=operands[0].manual_axis_type)

    made.def_abstract_eval(abstract)

    def either(*operands, **parameters):
        return (cpu if all(map(_plain, operands)) else native)(*operands, **parameters)

    mlir.register_lowering(made, _lowered(native))
    mlir.register_lowering(made, _lowered(either), platform="cpu")
    return made


def _lowered(program: Callable[..., Any]) -> Callable[..., Any]:
    """Lowers to a program of what lies on one device, whatever mesh it is part of."""
    rule = mlir.lower_fun(program, multiple_results=False)

    def lower(ctx, *operands, **parameters):
        ins, outs = ([*map(_bare, avals)] for avals in (ctx.avals_in, ctx.avals_out))
        with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), ())):
            return rule(ctx.replace(avals_in=ins, avals_out=outs), *operands, **parameters)

    return lower


def _bare(x: Any) -> Any:
    """Shape and dtype alone."""
    return jax.core.ShapedArray(x.shape, x.dtype)


def _plain(x: jax.Array) -> bool:
    """Whether all sizes are known, and none is zero."""
    return all(isinstance(n, int) and n > 0 for n in x.shape)


def divided(*operands: jax.Array) -> bool:
    """Whether an axis is divided among devices as part of a type: lax has rules for that."""
    return any(any(jax.typeof(x).sharding.spec) for x in operands)


def agreeing(*operands: jax.Array) -> list[jax.Array]:
    """The operands, in a ``shard_map`` all varying over the same axes of the mesh."""
    varying = [jax.typeof(x).manual_axis_type.varying for x in operands]
    axes = frozenset().union(*varying)
    return [
        lax.pcast(x, tuple(axes - own), to="varying") if axes - own else x
        for x, own in zip(operands, varying, strict=True)
    ]


def linear(
    name: str,
    *,
    native: Callable[..., jax.Array],
    cpu: Callable[..., jax.Array],
    cpu_transposed: Callable[..., jax.Array],
) -> Callable[..., jax.Array]:
    """A map that is linear in its first operand, with a program of its own for its transpose.

    ``map(t, *others, like=shape, **parameters)``: ``t`` is ``[n, ...]``, ``like`` its shape without
    ``n``, and the ``others``, ``[n, ...]`` too, are looked at but not differentiated. The examples
    of a batch do not see each other. ``cpu_transposed(ct, *others, like, **parameters)`` takes what
    ``cpu`` gives and gives what it takes.
    """

    def native_transposed(ct, *others, like, **parameters):
        t = jax.ShapeDtypeStruct((ct.shape[0], *like), ct.dtype)
        there = partial(native, like=like, **parameters)
        (back,) = jax.linear_transpose(lambda t: there(t, *others), t)(ct)
        return back

    there = primitive(name, native=native, cpu=cpu)
    back = primitive(f"{name}_transposed", native=native_transposed, cpu=cpu_transposed)
    for made, transposed in ((there, back), (back, there)):
        ad.primitive_jvps[made] = partial(_linear_jvp, made)
        ad.primitive_transposes[made] = partial(_linear_transpose, transposed)
        batching.primitive_batchers[made] = partial(_batched_examples, made)

    def run(*operands, **parameters):
        if divided(*operands):
            return native(*operands, **parameters)
        return there.bind(*agreeing(*operands), **parameters)

    return run


def _linear_jvp(made, primals, tangents, **parameters):
    t, *_ = tangents
    out = made.bind(*primals, **parameters)
    if type(t) is ad.Zero:
        return out, ad.Zero(jax.typeof(out).to_tangent_aval())
    return out, made.bind(ad.instantiate_zeros(t), *primals[1:], **parameters)


def _linear_transpose(transposed, ct, t, *others, **parameters):
    nothing = [None] * len(others)
    if type(ct) is ad.Zero:
        return [ad.Zero(t.aval), *nothing]
    return [transposed.bind(ct, *others, **parameters), *nothing]


def _batched_examples(made, operands, dims, **parameters):
    """``vmap`` adds examples to those that are there."""
    size = next(x.shape[d] for x, d in zip(operands, dims, strict=True) if d is not None)
    merged = [merge(front(x, d, size), 0) for x, d in zip(operands, dims, strict=True)]
    return split(made.bind(*merged, **parameters), 0, size), 0


def front(x: jax.Array, dim: int | None, size: int) -> jax.Array:
    """``x`` with its batched axis first; repeated if it has none."""
    if dim is None:
        return jax.numpy.broadcast_to(x, (size, *x.shape))
    return jax.numpy.moveaxis(x, dim, 0)


def merge(x: jax.Array, axis: int) -> jax.Array:
    """Two neighbouring axes, ``axis`` and the next, as one."""
    return x.reshape(*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2 :])


def split(x: jax.Array, axis: int, size: int) -> jax.Array:
    """Undoes ``merge``: the first of the two axes has ``size``."""
    return x.reshape(*x.shape[:axis], size, x.shape[axis] // size, *x.shape[axis + 1 :])
