"""Masks and boxes that go with their images through the same moves."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .composing import Step, Unknown, as_augmentation
from .protocol import Augmentation


def with_masks(
    pipeline: Step,
) -> Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    """A function ``(key, image, mask) -> (image, mask)`` that moves both alike.

    A mask ``[h, w]`` or ``[h, w, c]`` holds labels of any dtype: they are moved, never mixed. Flips
    and crops are exact, other moves take the nearest pixel. What comes into view is 0 where the
    image is filled with a number, else the mask's own pixels.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from fcnn import augment
        >>> move = augment.with_masks(augment.flip(1.0))
        >>> image, mask = move(jax.random.key(0), jnp.ones([1, 3, 1]), jnp.array([[1, 2, 3]]))
        >>> mask.tolist()
        [[3, 2, 1]]

    Raises:
        TypeError: a step is a plain function, of which nobody said what it does to a mask.
        ValueError: a step works on whole batches; later, a mask is not as large as its image.
    """
    part = carrying(pipeline)
    refuse(part.mask)

    def apply(key: jax.Array, image: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
        if mask.shape[:2] != image.shape[:2]:
            raise ValueError(f"the mask {mask.shape} is not as large as the image {image.shape}")
        return part.image(key, image), mask if part.mask is None else part.mask(key, mask)

    return apply


def with_boxes(
    pipeline: Step,
) -> Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    """A function ``(key, image, boxes) -> (image, boxes)`` that moves both alike.

    Boxes ``[n, 4]`` are (left, top, right, bottom) in pixels, the whole image (0, 0, w, h); they
    come back as float32. Flips, shifts, zooms, crops and resizes are exact; where corners turn, the
    new box encloses them. Boxes are cut to the new image; one that left it is (0, 0, 0, 0), as is
    one that had no area, so that filled rows stay empty.

    Raises:
        TypeError: a step is a plain function, of which nobody said what it does to boxes.
        ValueError: a step works on whole batches; later, boxes are not ``[n, 4]``.
    """
    part = carrying(pipeline)
    refuse(part.boxes)

    def apply(key: jax.Array, image: jax.Array, boxes: jax.Array) -> tuple[jax.Array, jax.Array]:
        boxes = jnp.asarray(boxes)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"boxes must be [n, 4], got {list(boxes.shape)}")
        h, w = image.shape[:2]
        boxes = boxes.astype(jnp.float32)
        moved = boxes if part.boxes is None else part.boxes(key, boxes, (h, w))
        return part.image(key, image), moved

    return apply


def carrying(pipeline: Step) -> Augmentation:
    """The pipeline, if it works on single images."""
    part = as_augmentation(pipeline)
    if part.batch is not None:
        raise ValueError(f"{part} mixes whole batches, which masks and boxes cannot follow")
    return part


def refuse(moves: Any) -> None:
    """A TypeError where the moves are unknown."""
    if isinstance(moves, Unknown):
        raise TypeError(moves.reason)
