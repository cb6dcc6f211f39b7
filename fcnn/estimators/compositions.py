"""The parts of a training step, one for equal arguments, so that compiled programs are found again.

A search clones its estimator and changes arguments one by one; layers, optimizers and steps that
are made of equal arguments have to be the same objects for jax to know them.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from .. import augment, layers, models, optimizers
from ..core import Layer, Recipe, as_layer, build, serial
from ..train import make_step

Shape = tuple[int, ...]


def layer_for(model: Any, shape: Shape, outputs: int) -> Layer:
    """The layer for examples of this shape: of the model given, or a usual one.

    Raises:
        ValueError: there is no model of that name, or the shape suits no usual one.
        TypeError: the model is none of the things it may be.
    """
    if model is None:
        return _usual(shape, outputs)
    if isinstance(model, str):
        return _named(model, outputs)
    plain = callable(model) and not isinstance(model, Layer)
    if plain and not getattr(model, "makes_layer", False):
        model = model(shape)
    return shared(as_layer(model))


def shared(layer: Layer) -> Layer:
    """The layer that stands for all of an equal recipe; one without a recipe stands for itself."""
    return layer if layer.recipe is None else _built(layer.recipe)


@functools.lru_cache(maxsize=256)
def _usual(shape: Shape, outputs: int) -> Layer:
    """A small network: two convolutions where there is something beside channels."""
    *sides, channels = shape
    if not sides:
        return models.mlp(classes=outputs)
    if len(sides) == 1 and sides[0] == channels >= 8:
        raise ValueError(
            f"X [n, {sides[0]}, {channels}] looks like pictures without a channel axis: write "
            "X[..., None]; for sequences, give a model"
        )
    parts: list = []
    side = min(sides)
    for features in (32, 64):
        parts += [layers.conv(features, 3), layers.relu]
        if side >= 2:
            parts.append(layers.max_pool(2))
            side //= 2
    return serial(*parts, layers.flatten, layers.dense(outputs))


@functools.lru_cache(maxsize=256)
def _named(name: str, outputs: int) -> Layer:
    return models.build(name, classes=outputs)


@functools.lru_cache(maxsize=256)
def _built(recipe: Recipe) -> Layer:
    return build(recipe)


def optimizer_for(given: Any, rate: Any) -> tuple[optax.GradientTransformation, float]:
    """An optimizer, and the number that its updates have to be multiplied by.

    The number is the last part of its state: one program serves all learning rates.

    Raises:
        ValueError: no optimizer has that name, or an optax transformation comes with a rate.
        TypeError: it is neither a name nor an optax transformation.
    """
    number = rate is not None and not callable(rate)
    if isinstance(given, str):
        optimizers.named(given, 1.0 if number else rate)  # which refuses what is wrong
        if number and not rate > 0:
            raise ValueError(f"learning_rate must be above 0, got {rate!r}")
        return _scaled(given, 1.0 if number else rate), float(rate) if number else 1.0
    if not (hasattr(given, "init") and hasattr(given, "update")):
        raise TypeError(
            "optimizer must be a name in fcnn.optimizers or an optax transformation, "
            f"got {given!r:.80}"
        )
    if rate is not None:
        raise ValueError("an optax transformation has its own rate: leave learning_rate=None")
    return _scaled(given, None), 1.0


@functools.lru_cache(maxsize=64)
def _scaled(given: Any, rate: Any) -> optax.GradientTransformation:
    inner = optimizers.named(given, rate) if isinstance(given, str) else given

    def init(params):
        return jnp.float32(1)

    def update(updates, factor, params=None):
        return jax.tree.map(lambda u: (factor * u).astype(u.dtype), updates), factor

    return optax.chain(inner, optax.GradientTransformation(init, update))


@functools.lru_cache(maxsize=64)
def augmentation_for(given: Any) -> Any:
    """The augmentation, of which a recipe's name may be given."""
    return augment.recipe(given) if isinstance(given, str) else given


@functools.lru_cache(maxsize=64)
def step_for(layer: Layer, loss: Callable, optimizer: Any, augmentation: Any) -> Callable:
    """The step that trains the layer."""
    return make_step(layer, loss=loss, optimizer=optimizer, augment=augmentation)
