"""The table of a network: what each layer gives, holds, costs and sees, before anything runs."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
from jax import random

from ..core import Layer, Network, Visit, as_layer, describe, kind, observers, spec, trees
from ..tables import amount, html_table, text_table
from .arithmetic import multiply_adds, traced
from .receptive_fields import Field, mark, receptive_fields
from .views import Step


class Row(NamedTuple):
    """One layer.

    Attributes:
        path: The name of the layer; ``path@2`` where it is called a second time.
        kind: What it is: 'conv', 'relu', 'lstm'.
        output: The shape of its output, or the tree of shapes.
        params: Its parameters; 0 where they were counted before.
        macs: Its multiply-adds.
        receptive_field: How many input elements a unit of the output sees along each spatial axis;
            "all" if it sees everything, None if it sees nothing or the input has no such axes.
        stride: How many input elements apart neighbouring units look, along each of these axes:
            below 1 after a transposed convolution, 0 where all look at the same place, None where
            that is so along all axes.
        memory: Bytes of the output.
    """

    path: str
    kind: str
    output: Any
    params: int
    macs: int
    receptive_field: tuple[int, ...] | str | None
    stride: tuple[int | float, ...] | None
    memory: int

    @property
    def flops(self) -> int:
        """Two for a multiply-add."""
        return 2 * self.macs


@dataclass(frozen=True, repr=False)
class Summary:
    """The rows in the order in which layers run; prints as a table, in notebooks as HTML.

    Attributes:
        rows: One for each layer, and for a composite that does arithmetic of its own.
        input: Shape and dtype of what the figures are for: one example.
        params: All parameters.
        macs: All multiply-adds.
        memory: Bytes of the outputs of all layers: about what training keeps of an example until
            the gradient is known. ``fcnn.train.cost`` has what the compiler makes of it.
    """

    rows: tuple[Row, ...]
    input: Any
    params: int
    macs: int
    memory: int

    @property
    def flops(self) -> int:
        """Two for a multiply-add."""
        return 2 * self.macs

    def __repr__(self) -> str:
        return text_table(self._table(), SIDES, foot=1)

    def _repr_html_(self) -> str:
        return html_table(self._table(), SIDES, foot=1)

    def _table(self) -> list[tuple[str, ...]]:
        example = f"{amount(self.memory)} for {describe(self.input)}"
        total = ("total", "", example, f"{self.params:,}", f"{self.macs:,}", "", "")
        return [HEAD, *map(_cells, self.rows), total]


HEAD = ("layer", "kind", "output", "parameters", "multiply-adds", "receptive field", "stride")
SIDES = "lllrrrr"


def summary(layer: Layer | Network, x: Any) -> Summary:
    """Path, kind, output, parameters, multiply-adds and receptive field of each layer.

    Nothing is computed: ``x`` may be an array, a ShapeDtypeStruct, or anything with a shape and a
    dtype, as the images of a whole data set. Its first axis is that of the examples; the figures
    are for one of them.

    Multiply-adds are those of convolutions and matrix products, products with padding included, as
    in the tables of the literature (He et al., 2016, arXiv:1512.03385); ``flops`` is twice that. A
    transposed convolution counts no products with the zeros between its inputs; the body of a while
    loop counts once. Inside ``repeat`` and ``remat`` layers have no rows of their own.

    Receptive fields follow the data through the program, across pools, skips and concatenations.
    The number is that of a unit in the middle of its map, and too large rather than too small where
    an operation has no rule.

    Example:
        >>> import fcnn, jax
        >>> from fcnn import conv, dense, flatten, max_pool, relu, serial
        >>> images = jax.ShapeDtypeStruct((1797, 8, 8, 1), "float32")
        >>> fcnn.summary(serial(conv(4), relu, max_pool(2), flatten, dense(10)), images)
        layer      kind      output                       parameters  multiply-adds  ...
        ----------------------------------------------------------------------------...
        conv1      conv      [1, 8, 8, 4]                         40          2,304  ...
        relu1      relu      [1, 8, 8, 4]                          0              0  ...
        max_pool1  max_pool  [1, 4, 4, 4]                          0              0  ...
        flatten1   flatten   [1, 64]                               0              0  ...
        dense1     dense     [1, 10]                             650            640  ...
        ----------------------------------------------------------------------------...
        total                2.6 kB for float32[1,8,8,1]         690          2,944

    Raises:
        TypeError: ``x`` is neither arrays nor their shapes.
        ValueError: the layer cannot work on such inputs; or the parameters of a network belong to
            inputs of another shape.
    """
    network = layer if isinstance(layer, Network) else None
    layer = network.layer if network else as_layer(layer)
    if not all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in jax.tree.leaves(x)):
        raise TypeError(
            "summary takes inputs [n, ...] or their shapes and dtypes, such as data.x or "
            f"jax.ShapeDtypeStruct((1, 32, 32, 3), 'float32'); got {x!r:.80}"
        )
    x = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype), spec(x))
    with observers():
        params, state = jax.eval_shape(lambda: layer.init(random.key(0), x))
    if network:
        _check(network, params, x)
        params, state = spec(network.params), spec(network.state)

    calls: list[Visit] = []

    def note(visit):
        calls.append(Visit(visit.path, visit.layer, *map(spec, visit[2:])))
        return mark(visit.y, str(len(calls) - 1))

    def run(params, state, x):
        y, _ = layer.apply(params, state, x)
        return note(Visit("", layer, params, state, x, y))

    with observers(note):
        program = traced(run, params, state, x)
    fields = _fields(program, x)
    rows = [row._replace(**fields(i)) for i, row in _rows(calls)]
    memory = sum(row.memory for row in rows)
    return Summary(tuple(rows), x, trees.count(params), multiply_adds(program), memory)


def _rows(calls: list[Visit]) -> list[tuple[int, Row]]:
    """The rows with the number of their call; each composite ends after what it is made of."""
    rows, times, ended = [], Counter[str](), []
    for number, (path, layer, params, state, x, y) in enumerate(calls):
        below = f"{path}/" if path else ""
        inside = [cost for cost in ended if cost.path.startswith(below)]
        ended = [cost for cost in ended if not cost.path.startswith(below)]
        macs = multiply_adds(traced(layer.apply, params, state, x))
        ended.append(_Cost(path, trees.count(params), macs))

        macs -= sum(cost.macs for cost in inside)
        held = trees.count(params) - sum({cost.path: cost.params for cost in inside}.values())
        times[path] += 1
        if not inside or held > 0 or macs > 0:
            name = path or kind(layer)
            if times[path] > 1:
                name, held = f"{name}@{times[path]}", 0
            shapes = jax.tree.map(lambda leaf: leaf.shape, y)
            memory = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(y))
            rows.append((number, Row(name, kind(layer), shapes, held, macs, None, None, memory)))
    return rows


class _Cost(NamedTuple):
    path: str
    params: int
    macs: int


def _fields(program: Any, x: Any) -> Callable[[int], dict[str, Any]]:
    """From the number of a call to its receptive field and its stride."""
    nothing = {"receptive_field": None, "stride": None}
    if not isinstance(x, jax.ShapeDtypeStruct) or len(x.shape) < 3:
        return lambda number: nothing
    last = len(program.invars) - 1
    along = [receptive_fields(program, last, axis) for axis in range(1, len(x.shape) - 1)]

    def field(number):
        seen = [fields.get(str(number), Field(0, None)) for fields in along]
        sizes = {size for size, _ in seen}
        if sizes in ({0}, {"all"}):
            return {**nothing, "receptive_field": "all" if sizes == {"all"} else None}
        sides = zip(x.shape[1:-1], seen, strict=True)
        field = tuple(n if size == "all" else size for n, (size, _) in sides)
        strides = tuple(map(_plain, (stride for _, stride in seen)))
        return {"receptive_field": field, "stride": strides if any(strides) else None}

    return field


def _plain(stride: Step | None) -> int | float:
    """The stride as a number; 0 where nothing moves."""
    return float(stride) if stride and stride % 1 else int(stride or 0)


def _check(network: Network, params: Any, x: Any) -> None:
    have = {path: leaf.shape for path, leaf in trees.flat(network.params).items()}
    need = {path: leaf.shape for path, leaf in trees.flat(params).items()}
    if have != need:
        path = next(path for path in [*need, *have] if need.get(path) != have.get(path))
        raise ValueError(
            f"the network does not fit inputs {describe(x)}: "
            f"{path} is {have.get(path, 'missing')}, needed {need.get(path, 'nothing')}"
        )


def _cells(row: Row) -> tuple[str, ...]:
    output = ", ".join(str(list(shape)) for shape in _shapes(row.output))
    field = row.receptive_field or ""
    field = field if isinstance(field, str) else "x".join(map(str, field))
    stride = "x".join(f"{n:g}" for n in row.stride or ())
    return (row.path, row.kind, output, f"{row.params:,}", f"{row.macs:,}", field, stride)


def _shapes(output: Any) -> list[tuple[int, ...]]:
    def is_shape(part):
        return isinstance(part, tuple) and all(isinstance(n, int) for n in part)

    return jax.tree.leaves(output, is_leaf=is_shape)
