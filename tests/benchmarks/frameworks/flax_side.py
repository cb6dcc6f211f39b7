"""Flax NNX: ``nnx.jit`` with its arguments cached, as its guide on performance advises."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from ..cases import RATE, Settings, case_named, example
from ..runs import Run
from .flax_models import build, count


def train(case: str, settings: Settings) -> Run:
    case = case_named(case)
    model, (x, y) = build(case, settings.dtype), jax.device_put(example(case))
    optimizer = nnx.Optimizer(model, optax.adam(RATE), wrt=nnx.Param)
    model.train()

    @nnx.jit
    def step(model, optimizer, x, y):
        def objective(model):
            outputs = model(x).astype(jnp.float32)
            if case.classes:
                return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()
            return jnp.square(outputs - y).mean()

        loss, grads = nnx.value_and_grad(objective)(model)
        optimizer.update(model, grads)
        return loss

    cached = nnx.cached_partial(step, model, optimizer)
    return Run(lambda: cached(x, y), jax.block_until_ready, count(model))


def inference(case: str, settings: Settings) -> Run:
    case = case_named(case)
    model, x = build(case, settings.dtype), jax.device_put(example(case)[0])
    model.eval()
    predict = nnx.cached_partial(nnx.jit(lambda model, x: model(x)), model)
    return Run(lambda: predict(x), jax.block_until_ready, count(model))
