"""Augmentations made of augmentations: one after another, now and then, and from a function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
from jax import random

from .protocol import Augmentation, BatchFn, BoxFn, ImageFn, MaskFn
from .values import check_probability, happens, raise_problems

Step = Augmentation | ImageFn


@dataclass(frozen=True)
class Unknown:
    """Stands where nobody said what a function does to masks and boxes, and refuses to guess."""

    reason: str  # what is wrong, and what to write

    def __call__(self, *args: Any) -> NoReturn:
        """Raises a TypeError."""
        raise TypeError(self.reason)


def compose(*steps: Step) -> Augmentation:
    """The steps one after another; step i gets the key ``fold_in(key, i)``.

    Steps are augmentations or plain functions ``(key, image) -> image``. Those on whole batches,
    as ``mixup``, come last.

    Raises:
        TypeError: a step is no function.
        ValueError: a step on single images follows one on batches.
    """
    parts = tuple(map(as_augmentation, steps))
    on_batches = [part.batch is not None for part in parts]
    if on_batches != sorted(on_batches):
        first = parts[on_batches.index(True)]
        raise ValueError(f"{first} works on whole batches: put it after the steps on single images")

    def image(key, image):
        for i, part in enumerate(parts):
            image = part.image(random.fold_in(key, i), image)
        return image

    def mask(key, mask):
        for i, part in enumerate(parts):
            if part.mask is not None:
                mask = part.mask(random.fold_in(key, i), mask)
        return mask

    def boxes(key, boxes, size):
        for i, part in enumerate(parts):
            if part.boxes is not None:
                boxes = part.boxes(random.fold_in(key, i), boxes, size)
                size = size_after(part, size)
        return boxes

    def batch(key, x, y):
        for i, part in enumerate(parts):
            if part.batch is not None:
                x, y = part.batch(random.fold_in(key, i), x, y)
        return x, y

    return Augmentation(
        f"compose({', '.join(map(repr, parts))})",
        image,
        mask=known(mask, [part.mask for part in parts]),
        boxes=known(boxes, [part.boxes for part in parts]),
        batch=batch if any(on_batches) else None,
        levels=any(part.levels for part in parts),
    )


def maybe(step: Step, probability: float = 0.5) -> Augmentation:
    """The step for this share of the images, and the others as they are.

    The step must keep the image's size.

    Raises:
        TypeError: the step is no function.
        ValueError: the probability is not one, or the step works on batches.
    """
    part = as_augmentation(step)
    if part.batch is not None:
        raise ValueError(f"{part} works on whole batches, where maybe has no single images to draw")
    problems: list[str] = []
    check_probability("probability", probability, problems)
    raise_problems(problems)

    def chosen(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        def apply(key, value, *rest):
            key, other = random.split(key)
            new = function(key, value, *rest)
            if new.shape != value.shape:
                raise ValueError(
                    f"maybe needs a step that keeps the size, and {part} makes {new.shape} "
                    f"of {value.shape}"
                )
            return jnp.where(happens(other, probability), new, value)

        return apply

    return Augmentation(
        f"maybe({part}, {probability:g})",
        chosen(part.image),
        mask=known(chosen(part.mask), [part.mask]),
        boxes=known(chosen(part.boxes), [part.boxes]),
        levels=part.levels,
    )


def pointwise(function: ImageFn) -> Augmentation:
    """A function ``(key, image) -> image`` that moves no pixel: masks and boxes stay.

    Example:
        >>> from fcnn import augment
        >>> darker = augment.pointwise(lambda key, image: image // 2)
        >>> pipeline = augment.with_masks(augment.compose(augment.flip(), darker))
    """
    if not callable(function):
        raise TypeError(f"pointwise takes a function (key, image) -> image, got {function!r}")
    if isinstance(function, Augmentation):
        raise TypeError(f"{function} is an augmentation already: use it as it is")
    return Augmentation(f"pointwise({name_of(function)})", function)


def as_augmentation(step: Step) -> Augmentation:
    """The step itself, or a plain function as one of which masks and boxes know nothing."""
    if isinstance(step, Augmentation):
        return step
    if not callable(step):
        raise TypeError(f"a step is a function (key, image) -> image, got {step!r}")
    name = name_of(step)
    unknown = Unknown(
        f"nothing is known of what {name} does to masks and boxes; write augment.pointwise({name}) "
        "if every pixel stays in its place, or make an Augmentation with mask and boxes"
    )
    return Augmentation(name, step, mask=unknown, boxes=unknown)


def known(function: Any, parts: list[MaskFn | BoxFn | BatchFn | None]) -> Any:
    """``function``; None if no part does anything, and ``Unknown`` if one is unknown."""
    unknown = [part for part in parts if isinstance(part, Unknown)]
    if unknown:
        return unknown[0]
    return None if all(part is None for part in parts) else function


def size_after(part: Augmentation, size: tuple[int, int]) -> tuple[int, int]:
    """The size (h, w) of what the augmentation makes of an image of ``size``."""
    if part.mask is None:
        return size
    mask = jax.ShapeDtypeStruct(size, jnp.uint8)
    h, w = jax.eval_shape(part.mask, jax.eval_shape(lambda: random.key(0)), mask).shape
    return h, w


def name_of(function: Callable[..., Any]) -> str:
    """What to call a function in names and errors."""
    return getattr(function, "__name__", None) or repr(function)
