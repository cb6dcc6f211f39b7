"""Equinox: ``filter_jit`` around ``vmap`` over the batch."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from ..cases import RATE, Settings, case_named, example
from ..runs import Run
from .equinox_models import build, count


def train(case: str, settings: Settings) -> Run:
    case = case_named(case)
    (model, state), (x, y) = build(case), _example(case)
    optimizer = optax.adam(RATE)
    moments = optimizer.init(eqx.filter(model, eqx.is_inexact_array))
    parameters = count(model)

    def objective(model, state, x, y, key):
        keys = jax.random.split(key, len(x))
        model, x = _cast((model, x), settings.dtype)
        outputs, state = jax.vmap(
            model, in_axes=(0, None, 0), out_axes=(0, None), axis_name="batch"
        )(x, state, keys)
        outputs = outputs.astype(jnp.float32)
        if case.classes:
            logits = jnp.moveaxis(outputs, 1, -1)
            loss = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
        else:
            loss = jnp.square(outputs - y).mean()
        return loss, state

    @eqx.filter_jit
    def step(model, state, moments, key, x, y):
        key, used = jax.random.split(key)
        gradient = eqx.filter_value_and_grad(objective, has_aux=True)
        (_, state), grads = gradient(model, state, x, y, used)
        updates, moments = optimizer.update(grads, moments)
        return eqx.apply_updates(model, updates), state, moments, key

    values = model, state, moments, jax.random.key(0)

    def run():
        nonlocal values
        values = step(*values, x, y)
        return values

    return Run(run, lambda found: jax.block_until_ready(found[2]), parameters)


def inference(case: str, settings: Settings) -> Run:
    case = case_named(case)
    (model, state), (x, _) = build(case), _example(case)
    model = eqx.nn.inference_mode(model)
    parameters = count(model)

    @eqx.filter_jit
    def predict(model, state, x):
        model, x = _cast((model, x), settings.dtype)
        return jax.vmap(model, in_axes=(0, None), out_axes=(0, None), axis_name="batch")(x, state)[
            0
        ]

    return Run(lambda: predict(model, state, x), jax.block_until_ready, parameters)


def _example(case):
    """The batch with its channels first."""
    x, y = example(case)
    return jax.device_put((jnp.moveaxis(x, -1, 1), y if case.classes else jnp.moveaxis(y, -1, 1)))


def _cast(tree, dtype):
    """Equinox has no mixed precision of its own: parameters are cast in the step."""
    if dtype == "float32":
        return tree
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, tree
    )
