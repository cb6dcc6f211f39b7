"""How far the values of a traced program see: receptive fields, followed through the jaxpr.

A field is followed along one axis of the input at a time, with a rule for each primitive. Where there
is no rule an output sees all that any input does: the answer is then too large, never too small.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import Jaxpr, JaxprEqn, Literal

from .arithmetic import bodies
from .views import View, hull, side, still

Note = Callable[[str, View | None], None]


def mark(value: Any, name: str) -> Any:
    """The same value, with a name for ``receptive_fields``."""
    return jax.tree.map(lambda leaf: checkpoint_name(leaf, name), value)


def receptive_fields(program: Jaxpr, argument: int, axis: int) -> dict[str, int | str]:
    """How many elements along ``axis`` of an argument one element of each marked value sees.

    The number is that of a unit in the middle of its map; at a border its field hangs over the edge.
    It is "all" where each element sees the whole axis. A value that sees nothing is left out.
    """
    shape = program.invars[argument].aval.shape
    views: list[View | None] = [None] * len(program.invars)
    views[argument] = View(0, 0, tuple(side(n, int(dim == axis)) for dim, n in enumerate(shape)))
    fields: dict[str, int | str] = {}

    def note(name, view):
        if view is not None and fields.get(name) != "all":
            size = int(view.length) + 1
            fields[name] = "all" if view.covers(shape[axis]) else max(size, fields.get(name, 0))

    _follow(program, views, note)
    return fields


def _follow(program: Jaxpr, views: Sequence[View | None], note: Note) -> list[View | None]:
    """The views of the outputs, from those of the inputs; None where nothing is seen."""
    known: dict[Any, View | None] = dict(zip(program.invars, views, strict=True))

    def read(atom):
        return None if isinstance(atom, Literal) else known.get(atom)

    for eqn in program.eqns:
        seen = [read(atom) for atom in eqn.invars]
        if any(view is not None for view in seen):
            for var, view in zip(eqn.outvars, _outputs(eqn, seen, note), strict=True):
                known[var] = view if getattr(var.aval, "size", 1) else None
        if eqn.primitive.name == "name":
            note(eqn.params["name"], seen[0])
    return [read(atom) for atom in program.outvars]


def _outputs(eqn: JaxprEqn, seen: list[View | None], note: Note) -> list[View | None]:
    name = eqn.primitive.name
    shapes = [getattr(var.aval, "shape", ()) for var in eqn.outvars]
    if name in ELEMENTWISE:
        return [hull(seen, shapes[0])]
    if name in RULES:
        return [RULES[name](eqn, seen, shape) for shape in shapes]
    if name == "optimization_barrier":
        return seen
    if name == "split" and not any(step for _, step in seen[0].steps[eqn.params["axis"]]):
        return [seen[0].over(eqn.params["axis"], side(n)) for n in eqn.params["sizes"]]
    if name == "scan":
        return _scan(eqn, seen, note)
    if name == "cond":
        ways = [_follow(branch.jaxpr, seen[1:], note) for branch in eqn.params["branches"]]
        return [hull([seen[0], *views], shape) for *views, shape in zip(*ways, shapes, strict=True)]
    inner = bodies(eqn)
    if name not in PARTIAL and len(inner) == 1 and len(inner[0].invars) == len(seen):
        return _follow(inner[0], seen, note)
    everything = hull((view and still(view.spread(range(len(view.steps))), ()) for view in seen), ())
    return [still(everything, shape) for shape in shapes]


def _scan(eqn: JaxprEqn, seen: list[View | None], note: Note) -> list[View | None]:
    body, length = eqn.params["jaxpr"].jaxpr, eqn.params["length"]
    first, last = eqn.params["num_consts"], eqn.params["num_consts"] + eqn.params["num_carry"]
    fixed, carry = seen[:first], seen[first:last]
    slices = [view and _without(view, [0]) for view in seen[last:]]
    shapes = [var.aval.shape for var in body.outvars[last - first :]]
    stacked: list[View | None] = [None] * len(shapes)
    for _ in range(length):
        before = carry, stacked
        outputs = _follow(body, [*fixed, *carry, *slices], note)
        carry, new = outputs[: last - first], outputs[last - first :]
        stacked = [hull(pair, shape) for *pair, shape in zip(stacked, new, shapes, strict=True)]
        if (carry, stacked) == before:
            break
    return [*carry, *(view and view._replace(steps=(side(length), *view.steps)) for view in stacked)]


def _convolution(eqn, seen, shape):
    x, kernel = seen
    p, dims = eqn.params, eqn.params["dimension_numbers"]
    if kernel is not None:
        kernel = still(kernel.spread(range(len(kernel.steps))), shape)
    if x is not None:
        batch, features, *space = dims.lhs_spec
        x = x.spread([features, batch] if p["batch_group_count"] > 1 else [features])
        steps = {dims.out_spec[0]: x.steps[batch], dims.out_spec[1]: side(shape[dims.out_spec[1]])}
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
        window, stride, (low, _) = p["window_dimensions"][dim], p["window_strides"][dim], p["padding"][dim]
        inside, dilation = p["base_dilation"][dim], p["window_dilation"][dim]
        view = view.slide(dim, n, window, stride, low, inside, dilation)
    return view


def _product(eqn, seen, shape):
    contracted, batch = eqn.params["dimension_numbers"]
    sides = [var.aval.shape for var in eqn.invars]
    free = [
        [dim for dim in range(len(sides[i])) if dim not in (*contracted[i], *batch[i])] for i in (0, 1)
    ]
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
    return hull((_without(v, axes) if v and len(v.steps) == full else v for v in seen), shape)


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
    return _without(seen[0], eqn.params["dimensions"])


def _reversal(eqn, seen, shape):
    view = seen[0]
    for dim in eqn.params["dimensions"]:
        start = view.start + sum((n - 1) * step for n, step in view.steps[dim])
        view = view._replace(start=start).over(dim, tuple((n, -step) for n, step in view.steps[dim]))
    return view


def _slicing(eqn, seen, shape):
    view, strides = seen[0], eqn.params["strides"] or [1] * len(shape)
    for dim, n in enumerate(eqn.invars[0].aval.shape):
        if shape[dim] != n:
            view = view.slide(dim, shape[dim], stride=strides[dim], low=-eqn.params["start_indices"][dim])
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
    starts = accumulate(sizes, initial=0)
    pieces = [(n, low, v.even(dim)) for n, low, v in zip(sizes, starts, seen, strict=False) if v]
    if not any(view.step(dim) for _, _, view in pieces):
        return hull((view.over(dim, side(shape[dim])) for _, _, view in pieces), shape)
    n, low, longest = max(pieces, key=lambda piece: piece[0])
    whole = longest.slide(dim, shape[dim], low=low)
    if all(_goes_on(piece, whole, dim) or _folds_back(piece[2], longest) for piece in pieces):
        return whole
    return hull((view.spread([dim]).over(dim, side(shape[dim])) for _, _, view in pieces), shape)


def _goes_on(piece: tuple[int, int, View], whole: View, dim: int) -> bool:
    """Whether a piece of a concatenation sees what its place in the whole sees."""
    n, low, view = piece
    there = whole.slide(dim, n, low=-low)
    return view == there


def _folds_back(view: View, longest: View) -> bool:
    """Whether a piece sees no more than the longest does, and nothing else: reflection at a border."""
    inner, outer = (v.spread(range(len(v.steps))) for v in (view, longest))
    inside = outer.start <= inner.start and inner.start + inner.length <= outer.start + outer.length
    return view.length <= longest.length and inside


def _without(view: View, dims: Sequence[int]) -> View:
    """The dimensions are gone; each element sees what any along them saw."""
    steps = view.spread(dims).steps
    kept = tuple(digits for dim, digits in enumerate(steps) if dim not in dims)
    return view.spread(dims)._replace(steps=kept)


PARTIAL = ("while", "pallas_call")  # their bodies see parts of the input, nobody knows how often

ELEMENTWISE = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp
    clz complex conj convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp
    exp2 expm1 floor ge gt imag integer_pow is_finite le lgamma log log1p logistic lt max min mul
    name ne neg nextafter not or population_count pow real reduce_precision rem round rsqrt select_n
    shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square stop_gradient
    sub tan tanh xor
    """.split()
)

RULES: dict[str, Callable[[JaxprEqn, list[View | None], tuple[int, ...]], View | None]] = {
    "conv_general_dilated": _convolution,
    "dot_general": _product,
    "broadcast_in_dim": _broadcasting,
    "concatenate": _concatenation,
    "dynamic_slice": _dynamic_slicing,
    "pad": _padding,
    "reshape": _reshaping,
    "rev": _reversal,
    "slice": _slicing,
    "sort": _sorting,
    "squeeze": _squeezing,
    "transpose": _transposition,
    **dict.fromkeys(("cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum"), _accumulation),
    **dict.fromkeys(("argmax", "argmin", "reduce", "reduce_and", "reduce_max", "reduce_min"), _reduction),
    **dict.fromkeys(("reduce_or", "reduce_prod", "reduce_sum", "reduce_xor"), _reduction),
    **dict.fromkeys(("reduce_window", "reduce_window_max"), _windows),
    **dict.fromkeys(("reduce_window_min", "reduce_window_sum"), _windows),
}
