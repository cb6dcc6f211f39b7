"""How far the values of a traced program see: receptive fields, followed through the jaxpr.

A field is followed along one axis of the input at a time, by a rule for each primitive. Where there
is none an output sees all that any input does: the answer is then too large, never too small.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import Jaxpr, JaxprEqn, Literal

from .arithmetic import bodies
from .rules import RULES, Views
from .views import Step, View, hull, side, still

Note: TypeAlias = Callable[[str, View | None], None]

PARTIAL = ("while", "pallas_call")  # their bodies see parts of the input, nobody knows how often


class Field(NamedTuple):
    """What the elements of a value see of one axis of the input.

    Attributes:
        size: How many elements along it; "all" where each element sees the whole axis.
        stride: How far apart neighbours look; None where all look at the same place.
    """

    size: int | str
    stride: Step | None


def mark(value: Any, name: str) -> Any:
    """The same value, with a name for ``receptive_fields``."""
    return jax.tree.map(lambda leaf: checkpoint_name(leaf, name), value)


def receptive_fields(program: Jaxpr, argument: int, axis: int) -> dict[str, Field]:
    """How much along ``axis`` of an argument one element of each marked value sees.

    The size is that of a unit in the middle of its map; at a border the field hangs over the edge.
    What sees nothing is left out.
    """
    shape = program.invars[argument].aval.shape
    views: Views = [None] * len(program.invars)
    views[argument] = View(0, 0, tuple(side(n, int(dim == axis)) for dim, n in enumerate(shape)))
    fields: dict[str, Field] = {}

    def note(name, view):
        if view is None:
            return
        before = fields.get(name, Field(0, None))
        if view.covers(shape[axis]) or before.size == "all":
            fields[name] = Field("all", None)
        else:
            steps = [abs(step) for digits in view.steps for _, step in digits if step]
            fields[name] = Field(max(int(view.length) + 1, before.size), min(steps, default=None))

    _follow(program, views, note)
    return fields


def _follow(program: Jaxpr, views: Sequence[View | None], note: Note) -> Views:
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


def _outputs(eqn: JaxprEqn, seen: Views, note: Note) -> Views:
    name = eqn.primitive.name
    shapes = [getattr(var.aval, "shape", ()) for var in eqn.outvars]
    if name in RULES:
        return [RULES[name](eqn, seen, shape) for shape in shapes]
    if name == "optimization_barrier":
        return seen
    if name == "split" and not any(step for _, step in seen[0].steps[eqn.params["axis"]]):
        return [seen[0].over(eqn.params["axis"], side(n)) for n in eqn.params["sizes"]]
    if name == "scan":
        return _scan(eqn, seen, note)
    inner = bodies(eqn)
    if name == "cond":
        ways = [_follow(branch, seen[1:], note) for branch in inner]
        return [hull([seen[0], *views], shape) for *views, shape in zip(*ways, shapes, strict=True)]
    if name not in PARTIAL and len(inner) == 1 and len(inner[0].invars) == len(seen):
        return _follow(inner[0], seen, note)
    everything = hull((view and view.without(range(len(view.steps))) for view in seen), ())
    return [still(everything, shape) for shape in shapes]


def _scan(eqn: JaxprEqn, seen: Views, note: Note) -> Views:
    (body,), length = bodies(eqn), eqn.params["length"]
    carries = sum(map(_same_rank, eqn.outvars, body.outvars))  # what is stacked has an axis more
    last = sum(map(_same_rank, eqn.invars, body.invars))
    fixed, carry = seen[: last - carries], seen[last - carries : last]
    slices = [view and view.without([0]) for view in seen[last:]]
    shapes = [var.aval.shape for var in body.outvars[carries:]]
    stacked: Views = [None] * len(shapes)
    for _ in range(length):
        before = carry, stacked
        outputs = _follow(body, [*fixed, *carry, *slices], note)
        carry, new = outputs[:carries], outputs[carries:]
        stacked = [hull(pair, shape) for *pair, shape in zip(stacked, new, shapes, strict=True)]
        if (carry, stacked) == before:
            break
    turn = side(length)
    return [*carry, *(view and view._replace(steps=(turn, *view.steps)) for view in stacked)]


def _same_rank(a: Any, b: Any) -> bool:
    return len(a.aval.shape) == len(b.aval.shape)
