"""What training a network takes, known before: arithmetic, memory, and the batch that fits.

Two views stand side by side: what the formulas of ``fcnn.summary`` count, and what the compiler
plans for this device. Nothing is computed; a few programs are compiled.
"""

from dataclasses import dataclass
from typing import Any

import jax
import optax

from .. import losses, optimizers
from ..core import Layer, Network, spec
from ..summaries import summary
from ..tables import amount, html_table, number, text_table
from .memory import Needs, available, bytes_of, compiled_step
from .preparing import Task, check_counts, prepare
from .state import start
from .stepping import Loss, Step, make_step


@dataclass(frozen=True, repr=False)
class Cost:
    """What a training step takes; prints as a table.

    Attributes:
        batch_size: Examples in the step.
        forward: Floating-point operations of the layers for them, forward, by the formulas of
            ``fcnn.summary``.
        compiled_forward: The same as the compiler counts it in its program; None if it does not.
        compiled_step: Those of the whole step, likewise.
        params: Bytes of the parameters.
        kept: Bytes of all that stays from step to step: parameters, optimizer, statistics.
        outputs: Bytes of the outputs of all layers, by ``fcnn.summary``.
        working: Bytes that the compiler plans for activations and gradients.
        available: Bytes that the device has.
    """

    batch_size: int
    forward: int
    compiled_forward: float | None
    compiled_step: float | None
    params: int
    kept: int
    outputs: int
    working: int
    available: int

    @property
    def memory(self) -> int:
        """Bytes that the step needs in all."""
        return self.kept + self.working

    def __repr__(self) -> str:
        return text_table(self._table(), "lrr")

    def _repr_html_(self) -> str:
        return html_table(self._table(), "lrr")

    def _table(self) -> list[tuple[str, str, str]]:
        def count(flops):
            return "" if flops is None else number(float(flops), 4)

        return [
            (f"a step with {self.batch_size:,} examples", "by formula", "by the compiler"),
            ("operations, forward", count(self.forward), count(self.compiled_forward)),
            ("operations, whole step", count(3 * self.forward), count(self.compiled_step)),
            ("parameters", amount(self.params), ""),
            ("optimizer and statistics", amount(self.kept - self.params), ""),
            ("activations and gradients", amount(self.outputs), amount(self.working)),
            ("memory in all", amount(self.kept + self.outputs), amount(self.memory)),
            ("memory of the device", "", amount(self.available)),
        ]


def cost(
    model: Layer | Network,
    train: Any,
    *,
    batch_size: int = 32,
    loss: Loss | str = losses.cross_entropy,
    optimizer: optax.GradientTransformation | None = None,
) -> Cost:
    """What a step of ``fit`` with these arguments takes, by formulas and by the compiler.

    By formula a whole step is three times the forward pass: the gradients by inputs and by
    parameters take as much as that each. Compilers leave out the products with padding, choose
    other algorithms, and count what formulas do not, such as normalisation.

    Example:
        >>> import fcnn
        >>> from fcnn import conv, dense, flatten, relu, serial
        >>> train, _ = fcnn.data.digits()
        >>> fcnn.train.cost(serial(conv(8), relu, flatten, dense(10)), train, batch_size=64).params
        20840

    Args:
        model: The layer to train, or a network.
        train: The data, as for ``fit``.
        batch_size: Examples in a step.
        loss: The loss, as for ``fit``.
        optimizer: As for ``fit``.

    Raises:
        ValueError, TypeError: as ``fit`` does, for the same reasons.
    """
    check_counts(batch_size=batch_size)
    task, step, ts = _planned(model, train, loss, optimizer)
    table = summary(task.layer, task.x)
    x = jax.tree.map(lambda a: jax.ShapeDtypeStruct((batch_size, *a.shape[1:]), a.dtype), task.x)
    forward = jax.jit(lambda params, state, x: task.layer.apply(params, state, x)[0])
    program = compiled_step(step, ts, task, batch_size)
    plan = program.memory_analysis()
    return Cost(
        batch_size=batch_size,
        forward=batch_size * table.flops,
        compiled_forward=_flops(forward.lower(ts.params, ts.state, x).compile()),
        compiled_step=_flops(program),
        params=bytes_of(ts.params),
        kept=bytes_of(ts),
        outputs=batch_size * table.memory,
        working=plan.temp_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes,
        available=available(),
    )


def largest_batch(
    model: Layer | Network,
    train: Any,
    *,
    memory: int | None = None,
    loss: Loss | str = losses.cross_entropy,
    optimizer: optax.GradientTransformation | None = None,
) -> int:
    """The largest batch whose step fits into memory, as the compiler plans it: all of the data, or
    a power of two.

    Args:
        model: The layer to train, or a network.
        train: The data, as for ``fit``.
        memory: Bytes to fit into; by default what the device, or this machine, has.
        loss: The loss, as for ``fit``.
        optimizer: As for ``fit``.

    Raises:
        ValueError: not even one example fits; or as ``fit`` does, for the same reasons.
    """
    check_counts(memory=memory)
    task, step, ts = _planned(model, train, loss, optimizer)
    room = available() if memory is None else memory
    needs = Needs(step, ts, task)
    fits = needs.largest(room, len(task.train))
    if fits < 1:
        raise ValueError(
            f"not even one example fits into {amount(room)}: a step with one takes about "
            f"{amount(needs.about(1))}; take smaller inputs, a smaller model, or remat"
        )
    return fits


def _planned(
    model: Layer | Network,
    train: Any,
    loss: Loss | str,
    optimizer: optax.GradientTransformation | None,
) -> tuple[Task, Step, Any]:
    """The task, its step, and the shapes of its train state."""
    task = prepare(
        model,
        train,
        loss=loss,
        metrics=(),
        validation=None,
        class_weight=None,
        monitor=None,
        mode=None,
        penalized=False,
        seed=0,
        check=False,
    )
    optimizer = optimizers.adam() if optimizer is None else optimizer
    ts = jax.eval_shape(lambda key: start(model, optimizer, key, task.x), jax.random.key(0))
    return task, make_step(task.layer, loss=task.loss, optimizer=optimizer), spec(ts)


def _flops(program: jax.stages.Compiled) -> float | None:
    """What the compiler counts; -1 is how it says that it does not."""
    counted = (program.cost_analysis() or {}).get("flops")
    return counted if counted is not None and counted > 0 else None
