"""Keras on JAX, by the training loop of its guide: stateless calls in one compiled step."""

import time

import jax
import keras

from ..cases import RATE, Case, Settings, case_named, example
from ..data import mnist
from ..runs import Run
from .keras_models import build, count


def train(case: str, settings: Settings) -> Run:
    case = case_named(case)
    model, (x, y) = _model(case, settings), jax.device_put(example(case))
    optimizer, loss = keras.optimizers.Adam(RATE, epsilon=1e-8), _loss(case)
    optimizer.build(model.trainable_variables)

    def objective(trained, others, x, y):
        outputs, others = model.stateless_call(trained, others, x, training=True)
        return loss(y, outputs), others

    def step(values, x, y):
        trained, others, moments = values
        gradient = jax.value_and_grad(objective, has_aux=True)
        (value, others), grads = gradient(trained, others, x, y)
        trained, moments = optimizer.stateless_apply(moments, grads, trained)
        return (trained, others, moments), value

    step = jax.jit(step, donate_argnums=0)
    values = tuple(
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            optimizer.variables,
        )
    )

    def run():
        nonlocal values
        values, _ = step(values, x, y)
        return values

    return Run(run, jax.block_until_ready, count(model))


def inference(case: str, settings: Settings) -> Run:
    case = case_named(case)
    model, x = _model(case, settings), jax.device_put(example(case)[0])
    trained = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]

    @jax.jit
    def predict(trained, others, x):
        return model.stateless_call(trained, others, x, training=False)[0]

    return Run(lambda: predict(trained, others, x), jax.block_until_ready, count(model))


def epoch(examples: int, settings: Settings) -> dict[str, float | str]:
    """``keras.fit``, with each epoch's end noted."""
    case, (x, y, name) = case_named("mnist_cnn-b32"), mnist(examples)
    model = _model(case, settings)
    model.compile(keras.optimizers.Adam(RATE), _loss(case), jit_compile=True)
    times = [time.perf_counter()]
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: times.append(time.perf_counter()))
    model.fit(x, y, batch_size=32, epochs=2, verbose=0, callbacks=[note])
    return {"data": name, "first": times[1] - times[0], "seconds": times[2] - times[1]}


def _model(case: Case, settings: Settings) -> keras.Model:
    keras.utils.set_random_seed(0)
    if settings.dtype != "float32":
        keras.mixed_precision.set_global_policy(f"mixed_{settings.dtype}")
    return build(case)


def _loss(case: Case):
    if case.classes:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return keras.losses.MeanSquaredError()
