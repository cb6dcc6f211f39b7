"""The zoo by name."""

import fnmatch
from collections.abc import Callable
from typing import Any

from ..core import Layer, layer

_MODELS: dict[str, Callable[..., Layer]] = {}


def model(constructor: Callable[..., Layer]) -> Callable[..., Layer]:
    """Enters a model in the zoo; it is a ``@layer`` as well."""
    _MODELS[constructor.__name__] = layer(constructor)
    return _MODELS[constructor.__name__]


def names(pattern: str = "*") -> list[str]:
    """The models whose names match a shell pattern.

    Example:
        >>> import fcnn
        >>> fcnn.models.names("resnet1*")
        ['resnet18', 'resnet110']
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
