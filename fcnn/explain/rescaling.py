"""The rescale rule of DeepLIFT, for each kind of equation in a network.

A network is run at an input and at a baseline. Whatever is linear passes a change on as it is; an
activation passes it on times the ratio of its changes, ``(f(x) - f(r)) / (x - r)``, where a
gradient takes the slope (Shrikumar et al., 2017, arXiv:1704.02685). These multipliers obey the
chain rule, so that they are computed as a gradient is, by other rules for some of the equations.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn

from ..ops.windows import wide
from .rewriting import called, elementwise, evaluate, place, plainly, scanned, words

LINEAR = words("""
    add add_any broadcast_in_dim concatenate convert_element_type copy copy_p cumsum dynamic_slice
    dynamic_update_slice expand_dims gather name neg optimization_barrier pad pvary reduce_precision
    reduce_sum reduce_window_sum resample reshape rev scatter scatter-add select_n slice split stack
    squeeze sub transpose window_sums
""")  # in all operands that are floating-point: conditions and indices have to be constant
PRODUCTS = words("conv_general_dilated convolution convolution_input_gradient dot_general mul")
MAXIMA = words("max max_pool reduce_max reduce_window_max")
MINIMA = words("min reduce_min reduce_window_min")

TINY = 1e-6  # of a value: a smaller change of it is rounding, and its ratio is taken as the slope


class Both(NamedTuple):
    """A value at the input and at the baseline.

    Attributes:
        x: At the input.
        r: At the baseline.
        root: What it was computed from, element by element; None for the value itself.
        slope: Its derivative by the root, element by element, at the input.
        straight: Whether it is a straight line of the root.
    """

    x: Any
    r: Any
    root: Any = None
    slope: Any = None
    straight: bool = True


def rescaled(eqn: JaxprEqn, values: list[Any], where: str = "") -> Sequence[Any]:
    """What an equation makes of values; those that the input changes are ``Both``.

    Args:
        where: The place of the call that the equation is part of, if it is.

    Raises:
        ValueError: there is no rule for it.
    """
    name, where = eqn.primitive.name, where or place(eqn)
    both = [value for value in values if isinstance(value, Both)]
    if not both:
        return plainly(eqn, values)
    if name == "stop_gradient":  # a shift without effect, as in a softmax: any constant will do
        return [lax.stop_gradient(both[0].x)]
    if _is_activation(eqn, both):
        return [_along(eqn, values)]
    rule = functools.partial(rescaled, where=where)
    if (body := called(eqn)) is not None:
        return evaluate(body, values, rule)
    if name == "scan":
        return _scan(eqn, values, rule, where)

    values = [settled(value, where) if isinstance(value, Both) else value for value in values]
    if name == "div" and isinstance(values[1], Both):
        return [_changed(_halfway, lax.mul, [settled(values[0], where), _inverse(values[1])])]
    if name in LINEAR or name == "div" or (name in PRODUCTS and len(both) == 1):
        return _on_both_sides(eqn, values)
    if name in PRODUCTS:
        return [_changed(_halfway, lambda a, b: plainly(eqn, [a, b])[0], values)]
    if name in MAXIMA or name in MINIMA:
        backward = functools.partial(_by_the_best, jnp.maximum if name in MAXIMA else jnp.minimum)
        operands = [settled(value, where) for value in values]
        return [_changed(backward, lambda *xs: plainly(eqn, xs)[0], operands)]
    raise ValueError(f"deep_lift has no rule for {name}{where}; use integrated_gradients")


def _is_activation(eqn: JaxprEqn, both: list[Both]) -> bool:
    """Whether the output is made, element by element, of the elements of one array."""
    if called(eqn) is not None and eqn.primitive.name != "custom_jvp_call":
        return False  # what runs in there is looked at one by one
    one, *others = {id(_root(value)): _root(value) for value in both}.values()
    shapes = [var.aval.shape for var in eqn.outvars]
    return elementwise(eqn) and not others and shapes == [one.x.shape]


def _along(eqn: JaxprEqn, values: list[Any]) -> Both:
    """One step of an activation, which is settled as a whole."""
    places = [i for i, value in enumerate(values) if isinstance(value, Both)]
    both = [values[i] for i in places]

    def run(*operands):
        replaced = dict(zip(places, operands, strict=True))
        return plainly(eqn, [replaced.get(i, value) for i, value in enumerate(values)])[0]

    at_x, at_r = zip(*((value.x, value.r) for value in both), strict=True)
    before = tuple(jnp.ones_like(v.x) if v.root is None else v.slope for v in both)
    _, slope = jax.jvp(run, lax.stop_gradient(at_x), before)
    x, r = run(*at_x), run(*at_r)
    return Both(x, r, _root(both[0]), slope, _is_straight(eqn, values, both, x))


def _is_straight(eqn: JaxprEqn, values: list[Any], both: list[Both], x: jax.Array) -> bool:
    numbers = all(jnp.issubdtype(part.dtype, jnp.floating) for part in (x, *(v.x for v in both)))
    match eqn.primitive.name:
        case "mul":
            linear = len(both) == 1
        case "div":
            linear = not isinstance(values[1], Both)
        case name:
            linear = name in LINEAR
    return linear and numbers and all(value.straight for value in both)


def settled(value: Any, where: str = "") -> Both:
    """A value that the rest of the network takes as it is: an activation gets its multiplier."""
    if not isinstance(value, Both):
        return Both(value, value)
    x, r, root, slope, straight = value
    if straight:
        return Both(x, r)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"deep_lift cannot follow a choice that the input decides{where}; "
            "use integrated_gradients"
        )
    rise, step, apart = wide(x) - wide(r), *_step(root.x, root.r)
    ratio = lax.stop_gradient(jnp.where(apart, rise / step, wide(slope)))
    return Both(_passing(lax.stop_gradient(x), root.x, ratio.astype(root.x.dtype)), r)


def _scan(eqn: JaxprEqn, values: list[Any], rule: Callable, where: str) -> list[Any]:
    """All numbers that a step hands to the next are followed, as if the input changed them."""

    def opened(value):
        if isinstance(value, Both) or jnp.issubdtype(jnp.result_type(value), jnp.floating):
            return tuple(settled(value, where)[:2])
        return value

    def closed(value):
        return Both(*value) if isinstance(value, tuple) else value

    def run(body, values):
        return [*map(opened, evaluate(body, [*map(closed, values)], rule))]

    return [*map(closed, scanned(eqn, [*map(opened, values)], run))]


def _root(value: Both) -> Both:
    return value if value.root is None else value.root


def _step(x: jax.Array, r: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The change of each element, and where it is one; elsewhere it is 1, to divide by."""
    step = wide(x) - wide(r)
    apart = jnp.abs(step) > TINY * (1 + jnp.abs(wide(r)))
    return jnp.where(apart, step, 1), apart


@jax.custom_vjp
def _passing(y: jax.Array, x: jax.Array, ratio: jax.Array) -> jax.Array:
    """``y``, of which ``x`` gets the gradient times ``ratio``."""
    return y


def _passing_forward(y, x, ratio):
    return y, ratio


def _passing_backward(ratio, g):
    return jnp.zeros_like(g), g.astype(ratio.dtype) * ratio, jnp.zeros_like(ratio)


_passing.defvjp(_passing_forward, _passing_backward)


def _on_both_sides(eqn: JaxprEqn, values: list[Any]) -> list[Both]:
    at_x = plainly(eqn, [value.x if isinstance(value, Both) else value for value in values])
    at_r = plainly(eqn, [value.r if isinstance(value, Both) else value for value in values])
    return [*map(Both, at_x, at_r)]


def _inverse(value: Both) -> Both:
    x, r = value.x, value.r
    slope = lax.stop_gradient(-1 / (x * x))
    return settled(Both(1 / x, 1 / r, value, slope, straight=False))


def _changed(backward: Callable, function: Callable, operands: list[Both]) -> Both:
    """The function on both sides; ``backward(function, xs, rs, g)`` passes its gradient on."""
    xs, rs = zip(*((operand.x, operand.r) for operand in operands), strict=True)
    return Both(_with_backward(backward, function, xs, rs), function(*rs))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _with_backward(backward, function, xs, rs):
    return function(*xs)


def _with_backward_forward(backward, function, xs, rs):
    return function(*xs), (xs, rs)


def _with_backward_backward(backward, function, ends, g):
    return backward(function, *ends, g), tuple(map(jnp.zeros_like, ends[1]))


_with_backward.defvjp(_with_backward_forward, _with_backward_backward)


def _halfway(function, xs, rs, g):
    """A product's change is exactly its gradient halfway times the changes of both factors."""
    middle = [(x + r) / 2 for x, r in zip(xs, rs, strict=True)]
    return jax.vjp(function, *middle)[1](g)


def _by_the_best(best, function, xs, rs, g):
    """A maximum rises from the baseline to the larger of both, and falls from there to the input.

    The rise belongs to what is largest at the input, the fall to what was at the baseline, as for
    max pooling in the implementation of Lundberg and Lee (2017, arXiv:1705.07874). For a minimum
    the best is the smaller.
    """
    y, back = jax.vjp(function, *xs)
    before, back_before = jax.vjp(function, *rs)
    middle = best(y, before)
    parts = zip(back(g * (middle - before)), back_before(g * (y - middle)), strict=True)
    passed = []
    for (first, second), slope, x, r in zip(parts, back(g), xs, rs, strict=True):
        step, apart = _step(x, r)
        ratio = (wide(first) + wide(second)) / step
        passed.append(jnp.where(apart, ratio, wide(slope)).astype(x.dtype))
    return tuple(passed)
