"""The zoo by name."""

import fnmatch
import functools
from collections.abc import Callable
from typing import Any

from ..core import Layer, describe, layer, named_after

_MODELS: dict[str, Callable[..., Layer]] = {}


def model(constructor: Callable[..., Layer]) -> Callable[..., Layer]:
    """Enters a model in the zoo; it is a ``@layer`` as well."""
    _MODELS[constructor.__name__] = layer(constructor)
    return _MODELS[constructor.__name__]


def image_model(constructor: Callable[..., Layer]) -> Callable[..., Layer]:
    """Enters a model of images, which refuses any other input by its name.

    The check stands around the two functions, not in the wiring: no parameter changes its name.
    """
    name = constructor.__name__

    def check(x):
        if getattr(x, "ndim", 4) != 4:
            raise ValueError(f"{name} takes images [n, h, w, c], got {describe(x)}")

    @functools.wraps(constructor)
    def make(**options):
        body = constructor(**options)

        def init(key, x):
            check(x)
            return body.init(key, x)

        @named_after(constructor)
        def apply(params, state, x, *, train=False, key=None):
            check(x)
            return body.apply(params, state, x, train=train, key=key)

        return Layer(init, apply)

    return model(make)


def names(pattern: str = "*") -> list[str]:
    """The models whose names match a shell pattern.

    Example:
        >>> import fcnn
        >>> fcnn.models.names("resnet1*")
        ['resnet18', 'resnet101', 'resnet152', 'resnet110']
    """
    return [name for name in _MODELS if fnmatch.fnmatch(name, pattern)]


def build(name: str, **options: Any) -> Layer:
    """A model by its name: ``build("resnet18", classes=10)``.

    Raises:
        ValueError: there is no such model; the names are listed.
        TypeError: the model has no such option.
    """
    if name not in _MODELS:
        raise ValueError(f"there is no model {name!r}; there are {', '.join(_MODELS)}")
    return _MODELS[name](**options)
