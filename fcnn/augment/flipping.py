"""Mirror images."""

from typing import Literal

import jax.numpy as jnp

from .protocol import Augmentation
from .values import check_probability, happens, raise_problems
from .warping import check_axis, moved_boxes


def flip(
    probability: float = 0.5, axis: Literal["horizontal", "vertical"] = "horizontal"
) -> Augmentation:
    """Mirrors this share of the images, exactly.

    Args:
        probability: How often.
        axis: ``"horizontal"`` changes left and right, ``"vertical"`` top and bottom.
    """
    problems: list[str] = []
    check_probability("probability", probability, problems)
    check_axis(axis, ("horizontal", "vertical"), problems)
    raise_problems(problems)

    def image(key, image):
        mirrored = image[:, ::-1] if axis == "horizontal" else image[::-1]
        return jnp.where(happens(key, probability), mirrored, image)

    def boxes(key, boxes, size):
        sign = jnp.where(happens(key, probability), -1, 1)

        def points(x, y):
            return (sign * x, y) if axis == "horizontal" else (x, sign * y)

        return moved_boxes(boxes, points, size, size)

    return Augmentation(f"flip({probability:g}, {axis!r})", image, image, boxes)
