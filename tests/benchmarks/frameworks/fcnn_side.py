"""fcnn through its public functions, as a user calls it."""

import time

import jax
import optax
from jax import lax

import fcnn
from fcnn import losses, models, trees

from ..cases import MLPS, RATE, Case, Settings, case_named, example, marginal
from ..data import mnist
from ..operations import operation_named
from ..runs import Run
from .fcnn_models import build
from .fcnn_operations import FUNCTIONS
from .jax_operations import run_of


def train(case: str, settings: Settings) -> Run:
    step, ts, batch = _training(case_named(case), settings)

    def run():
        nonlocal ts
        ts, _ = step(ts, batch)
        return ts

    return Run(run, jax.block_until_ready, trees.count(ts.params))


def scan(case: str, settings: Settings, steps: int) -> Run:
    """The same step, several times in one program."""
    step, ts, batch = _training(case_named(case), settings)

    @jax.jit
    def several(ts):
        return lax.scan(lambda ts, _: step(ts, batch), ts, length=steps)[0]

    def run():
        nonlocal ts
        ts = several(ts)
        return ts

    return Run(run, jax.block_until_ready, trees.count(ts.params), steps)


def inference(case: str, settings: Settings) -> Run:
    case = case_named(case)
    x, model = jax.device_put(example(case)[0]), _model(case, settings)
    network = fcnn.Network(model, *model.init(jax.random.key(0), x))
    predict = jax.jit(lambda x: network(x))
    return Run(lambda: predict(x), jax.block_until_ready, trees.count(network.params))


def operation(case: str, backward: bool, settings: Settings) -> Run:
    op = operation_named(case)
    return run_of(op, lambda *arrays: FUNCTIONS[op.function](op, *arrays), backward, settings)


def epoch(examples: int, settings: Settings) -> dict[str, float | str]:
    """``fcnn.fit``, with each epoch's end noted."""
    x, y, name = mnist(examples)
    times = [time.perf_counter()]
    fcnn.fit(
        _model(case_named("mnist_cnn-b32"), settings),
        (x, y),
        optimizer=optax.adam(RATE),
        epochs=2,
        batch_size=32,
        callbacks=[lambda _: times.append(time.perf_counter())],
        progress=False,
    )
    return {"data": name, "first": times[1] - times[0], "seconds": times[2] - times[1]}


def mlp(case: str, few: int, many: int, settings: Settings) -> float:
    perceptron = MLPS[case]
    data = perceptron.load()
    model = models.mlp(classes=perceptron.classes, hidden=perceptron.hidden)

    def fit(epochs: int) -> float:
        start = time.perf_counter()
        fcnn.fit(
            model,
            data,
            optimizer=optax.adam(RATE),
            epochs=epochs,
            batch_size=perceptron.batch_size,
            progress=False,
        )
        return time.perf_counter() - start

    return marginal(fit, few, many)


def _training(case: Case, settings: Settings):
    x, y = jax.device_put(example(case))
    model, optimizer = _model(case, settings), optax.adam(RATE)
    loss = losses.cross_entropy if case.classes else losses.squared_error
    ts = fcnn.train.start(model, optimizer, jax.random.key(0), x)
    return fcnn.train.make_step(model, loss=loss, optimizer=optimizer), ts, {"x": x, "y": y}


def _model(case: Case, settings: Settings) -> fcnn.Layer:
    model = build(case)
    if settings.dtype == "float32":
        return model
    return fcnn.serial(fcnn.cast(settings.dtype), model, fcnn.cast("float32"))
