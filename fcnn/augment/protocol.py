"""What an augmentation is: a pure function ``(key, image) -> image`` for one example.

An image is ``[h, w, c]``: uint8 from 0 to 255, or floating from 0 to 1. What comes out has the same
dtype and range. The same key gives the same picture, whatever else is in the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

ImageFn = Callable[[jax.Array, jax.Array], jax.Array]  # (key, image) -> image
MaskFn = Callable[[jax.Array, jax.Array], jax.Array]  # (key, mask [h, w] or [h, w, c]) -> mask
BoxFn = Callable[[jax.Array, jax.Array, tuple[int, int]], jax.Array]  # (key, boxes, size) -> boxes
BatchFn = Callable[[jax.Array, Any, Any], tuple[Any, Any]]  # (key, x, y) -> (x, y)


@dataclass(frozen=True, eq=False, repr=False)
class Augmentation:
    """A function ``(key, image) -> image`` that knows what it does to a mask and to boxes.

    Attributes:
        name: The call that made it, such as ``rotate(10)``.
        image: What is done to the image.
        mask: The same to a mask ``[h, w]`` or ``[h, w, c]`` of labels, which are moved and never
            mixed; None where every pixel stays in its place.
        boxes: The same to boxes ``[n, 4]`` (left, top, right, bottom, in pixels of the image of
            ``size`` (h, w) that came in); None likewise.
        batch: What is done to a batch ``(key, x, y) -> (x, y)`` after the images; None for most.
        levels: Whether it computes with brightness, so that floats must lie between 0 and 1; what
            only moves or mixes pixels takes any.
    """

    name: str
    image: ImageFn
    mask: MaskFn | None = None
    boxes: BoxFn | None = None
    batch: BatchFn | None = None
    levels: bool = False

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """The image ``[h, w, c]`` changed; it may come out in another size."""
        return self.image(key, image)

    def __repr__(self) -> str:
        return self.name
