"""Recipes: a few augmentations by name, for ``fcnn train --augment NAME`` and as a beginning."""

from collections.abc import Callable

from .colours import color_jitter
from .composing import compose
from .cropping import crop
from .erasing import erase
from .flipping import flip
from .geometry import affine
from .policies import rand_augment, trivial_augment
from .protocol import Augmentation

_RECIPES: dict[str, Callable[[], Augmentation]] = {
    "none": compose,
    "flip": flip,
    "flip-crop": lambda: compose(flip(), crop()),
    "shift": lambda: affine(rotate=10, translate=0.1, zoom=0.1),
    "color": lambda: compose(
        flip(),
        crop(),
        color_jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.05),
        erase(0.25),
    ),
    "randaugment": lambda: compose(flip(), crop(), rand_augment()),
    "trivialaugment": lambda: compose(flip(), crop(), trivial_augment()),
}


def names() -> list[str]:
    """What ``recipe`` knows, the gentlest first."""
    return list(_RECIPES)


def recipe(name: str) -> Augmentation:
    """An augmentation by name.

    * ``none`` leaves images as they are.
    * ``flip`` mirrors half of them: for things that have no left and right.
    * ``flip-crop`` also cuts them out of a border of 4 pixels: the usual for CIFAR-10.
    * ``shift`` turns, shifts and zooms a little and never mirrors: for digits and letters.
    * ``color`` is flip-crop with other colours and lost rectangles: for colour images only.
    * ``randaugment`` and ``trivialaugment`` are flip-crop and then the policy: for long runs.

    Example:
        >>> recipe("flip-crop")
        compose(flip(0.5, 'horizontal'), crop(padding=4))

    Raises:
        KeyError: there is no such recipe.
    """
    if name not in _RECIPES:
        raise KeyError(f"no recipe {name!r}; there are {', '.join(_RECIPES)}")
    return _RECIPES[name]()
