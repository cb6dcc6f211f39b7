"""Contact sheets: what an augmentation does, to be looked at before hours are spent."""

import textwrap
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from ..extras import require
from .batches import on_batch
from .protocol import Augmentation, ImageFn

GAP = 0.1  # between the originals and the others, as a part of an image


def preview(augment: Augmentation | ImageFn, images: Any, *, copies: int = 7, seed: int = 0) -> Any:
    """Draws each image in a row, first as it is and then augmented.

    Example:
        >>> sheet = preview(augment, train.x[:6])  # doctest: +SKIP
        >>> sheet.savefig("augmented.png")  # doctest: +SKIP

    Args:
        augment: Any augmentation, also one that mixes the images of a batch, which are then all
            the images given; or a function ``(key, image) -> image``.
        images: ``[n, h, w, c]`` with 1 or 3 channels, uint8 from 0 to 255 or floating from 0 to 1.
        copies: How many augmented ones of each.
        seed: Where their randomness comes from.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        ValueError: the images have another shape, or copies is no whole number from 1 on.
    """
    plt = require("matplotlib.pyplot", "plots")
    images = jnp.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(
            f"images must be [n, h, w, c] with 1 or 3 channels, got {list(images.shape)}; "
            "one image alone is image[None]"
        )
    if not isinstance(copies, int) or copies < 1:
        raise ValueError(f"copies must be a whole number from 1 on, got {copies!r}")
    sheets = [np.asarray(images), *_augmented(augment, images, copies, seed)]
    rows, (h, w) = len(images), sheets[1].shape[1:3]
    title = textwrap.wrap(repr(augment), 14 * copies)
    side, head = min(1.2, 12 / rows), 0.3 + 0.18 * len(title)  # inches
    width, height = side * (len(sheets) + GAP), head + side * h / w * rows
    plt.draw_if_interactive()  # loads the backend, from which a notebook learns to show figures
    figure = plt.Figure(figsize=(width, height))
    figure.suptitle("\n".join(title), fontsize=9, y=1 - 0.06 / height, va="top")
    grid = figure.add_gridspec(
        rows, len(sheets) + 1, width_ratios=[1, GAP, *[1] * copies],
        left=0.01, right=0.99, bottom=0.02 / height, top=1 - head / height,
        wspace=0.04, hspace=0.04,
    )  # fmt: skip
    for column, sheet in zip([0, *range(2, copies + 2)], sheets, strict=True):
        for row, image in enumerate(sheet):
            ax = figure.add_subplot(grid[row, column])
            _show(ax, image)
            if row == 0 and column in (0, 2):
                ax.set_title("augmented" if column else "original", fontsize=9, pad=3, loc="left")
    return figure


def _augmented(
    augment: Augmentation | ImageFn, images: jax.Array, copies: int, seed: int
) -> list[np.ndarray]:
    """The batch so many times, ``[n, h', w', c']`` each."""
    labels = jnp.zeros(len(images))  # floating, for what mixes them

    @jax.jit
    def once(key):
        return on_batch(augment, key, {"x": images, "y": labels})["x"]

    return [np.asarray(once(random.fold_in(random.key(seed), i))) for i in range(copies)]


def _show(ax: Any, image: np.ndarray) -> None:
    white = 255 if image.dtype == np.uint8 else 1
    pixels = image if image.dtype == np.uint8 else np.clip(image.astype(np.float32), 0, 1)
    pixels = pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=white)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
