"""What the outputs of a primitive see, from what its inputs see: a rule for each primitive.

A rule is ``(eqn, seen, shape) -> view``: it gets the views of the inputs, of which at least one is
not None, and the shape of the output.
"""

from collections.abc import Callable
from itertools import accumulate
from typing import TypeAlias

from jax.extend.core import JaxprEqn

from .views import View, hull, side, still

Views: TypeAlias = list[View | None]
Rule: TypeAlias = Callable[[JaxprEqn, Views, tuple[int, ...]], View | None]


def _elementwise(eqn, seen, shape):
    return hull(seen, shape)


def _convolution(eqn, seen, shape):
    x, kernel = seen
    p, dims = eqn.params, eqn.params["dimension_numbers"]
    if kernel is not None:
        kernel = still(kernel.spread(range(len(kernel.steps))), shape)
    if x is not None:
        batch, features, *space = dims.lhs_spec
        x = x.spread([features])
        steps = {dims.out_spec[0]: x.steps[batch], dims.out_spec[1]: side(shape[dims.out_spec[1]])}
        if p["batch_group_count"] > 1:
            x, steps[dims.out_spec[0]] = x.spread([batch]), side(shape[dims.out_spec[0]])
        window = [eqn.invars[1].aval.shape[dim] for dim in dims.rhs_spec[2:]]
        for i, (dim, to) in enumerate(zip(space, dims.out_spec[2:], strict=True)):
            low, inside, dilation = p["padding"][i][0], p["lhs_dilation"][i], p["rhs_dilation"][i]
            x = x.slide(dim, shape[to], window[i], p["window_strides"][i], low, inside, dilation)
            steps[to] = x.steps[dim]
        x = x._replace(steps=tuple(steps[dim] for dim in range(len(shape))))
    return hull([x, kernel], shape)


def _windows(eqn, seen, shape):
    p, view = eqn.params, hull(seen, eqn.invars[0].aval.shape)
    for dim, n in enumerate(shape):
        window, stride, (low, _) = (
            p[key][dim] for key in ("window_dimensions", "window_strides", "padding")
        )
        inside, dilation = p["base_dilation"][dim], p["window_dilation"][dim]
        view = view.slide(dim, n, window, stride, low, inside, dilation)
    return view


def _product(eqn, seen, shape):
    contracted, batch = eqn.params["dimension_numbers"]
    sides = [var.aval.shape for var in eqn.invars]
    used = [{*contracted[i], *batch[i]} for i in (0, 1)]
    free = [[dim for dim in range(len(sides[i])) if dim not in used[i]] for i in (0, 1)]
    views = []
    for i, view in enumerate(seen):
        if view is not None:
            view = view.spread(contracted[i])
            own = [view.steps[dim] for dim in free[i]]
            other = [side(sides[1 - i][dim]) for dim in free[1 - i]]
            rest = own + other if i == 0 else other + own
            views.append(view._replace(steps=(*(view.steps[dim] for dim in batch[i]), *rest)))
    return hull(views, shape)


def _reduction(eqn, seen, shape):
    axes = eqn.params.get("axes", eqn.params.get("dimensions"))
    full = len(shape) + len(axes)  # the others are scalars
    return hull((v.without(axes) if v and len(v.steps) == full else v for v in seen), shape)


def _accumulation(eqn, seen, shape):
    return seen[0].spread([eqn.params["axis"]])


def _sorting(eqn, seen, shape):
    return hull((view and view.spread([eqn.params["dimension"]]) for view in seen), shape)


def _broadcasting(eqn, seen, shape):
    steps = list(map(side, shape))
    for digits, dim in zip(seen[0].steps, eqn.params["broadcast_dimensions"], strict=True):
        steps[dim] = digits or steps[dim]
    return seen[0]._replace(steps=tuple(steps))


def _transposition(eqn, seen, shape):
    return seen[0]._replace(steps=tuple(seen[0].steps[dim] for dim in eqn.params["permutation"]))


def _reshaping(eqn, seen, shape):
    return seen[0].reshape(shape)


def _squeezing(eqn, seen, shape):
    return seen[0].without(eqn.params["dimensions"])


def _reversal(eqn, seen, shape):
    view = seen[0]
    for dim in eqn.params["dimensions"]:
        digits = view.steps[dim]
        start = view.start + sum((n - 1) * step for n, step in digits)
        view = view._replace(start=start).over(dim, tuple((n, -step) for n, step in digits))
    return view


def _slicing(eqn, seen, shape):
    view, starts = seen[0], eqn.params["start_indices"]
    strides = eqn.params["strides"] or [1] * len(shape)
    for dim, n in enumerate(eqn.invars[0].aval.shape):
        if shape[dim] != n:
            view = view.slide(dim, shape[dim], stride=strides[dim], low=-starts[dim])
    return view


def _dynamic_slicing(eqn, seen, shape):
    view, *indices = seen
    for dim, n in enumerate(eqn.invars[0].aval.shape):
        if view and shape[dim] != n:
            view = view.spread([dim]).over(dim, side(shape[dim]))
    return hull([view, *indices], shape)


def _padding(eqn, seen, shape):
    view, value = seen
    for dim, (low, high, between) in enumerate(eqn.params["padding_config"]):
        if view and (low, high, between) != (0, 0, 0):
            view = view.slide(dim, shape[dim], low=low, inside=between + 1)
    return hull([view, value], shape)


def _concatenation(eqn, seen, shape):
    dim = eqn.params["dimension"]
    sizes = [var.aval.shape[dim] for var in eqn.invars]
    starts = accumulate(sizes[:-1], initial=0)
    pieces = [(n, low, v.even(dim)) for n, low, v in zip(sizes, starts, seen, strict=True) if v]
    if any(view.step(dim) for _, _, view in pieces):
        _, low, longest = max(pieces, key=lambda piece: piece[0])
        whole = longest.slide(dim, shape[dim], low=low)
        if all(_goes_on(piece, whole, dim) or _folds_back(piece[2], longest) for piece in pieces):
            return whole
    return hull((view.spread([dim]).over(dim, side(shape[dim])) for _, _, view in pieces), shape)


def _goes_on(piece: tuple[int, int, View], whole: View, dim: int) -> bool:
    """Whether a piece of a concatenation sees what its place in the whole sees."""
    n, low, view = piece
    return view == whole.slide(dim, n, low=-low)


def _folds_back(view: View, longest: View) -> bool:
    """Whether a piece sees only what the longest sees, no more at a time: a border that mirrors."""
    inner, outer = (v.spread(range(len(v.steps))) for v in (view, longest))
    inside = outer.start <= inner.start and inner.end <= outer.end
    return view.length <= longest.length and inside


ELEMENTWISE = """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp
    clz complex conj convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp
    exp2 expm1 floor ge gt imag integer_pow is_finite le lgamma log log1p logistic lt max min mul
    name ne neg nextafter not or population_count pow real reduce_precision rem round rsqrt select_n
    shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square stop_gradient
    sub tan tanh xor
"""
REDUCTIONS = (
    "argmax argmin reduce reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum"
)
ACCUMULATIONS = "cumlogsumexp cummax cummin cumprod cumsum"
WINDOWS = "reduce_window reduce_window_max reduce_window_min reduce_window_sum"

RULES: dict[str, Rule] = {
    "broadcast_in_dim": _broadcasting,
    "concatenate": _concatenation,
    "conv_general_dilated": _convolution,
    "dot_general": _product,
    "dynamic_slice": _dynamic_slicing,
    "pad": _padding,
    "reshape": _reshaping,
    "rev": _reversal,
    "slice": _slicing,
    "sort": _sorting,
    "squeeze": _squeezing,
    "transpose": _transposition,
    **dict.fromkeys(ELEMENTWISE.split(), _elementwise),
    **dict.fromkeys(REDUCTIONS.split(), _reduction),
    **dict.fromkeys(ACCUMULATIONS.split(), _accumulation),
    **dict.fromkeys(WINDOWS.split(), _windows),
}
