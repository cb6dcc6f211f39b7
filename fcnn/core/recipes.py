"""How a layer was made, as data: constructor names and arguments, no code.

Every public constructor is decorated with ``@layer``, every plain function that stands as a layer
with ``@function``. Both enter the registry under their name, and a layer made of such parts can be
printed as the code that made it, stored as JSON, and built again from the registry, which is the
allow-list: a name in a file is looked up there and never imported.

A recipe in JSON: ``{"call": "dense", "args": [10], "options": {"bias": true, ...}}``; a plain
function is ``{"function": "relu"}``, a mapping ``{"dict": {...}}``, a tuple or list ``[...]``;
numbers, strings, booleans and null stand for themselves. What the call left to defaults is written
out, so that a file means the same when a default has changed.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .protocol import Layer

_CONSTRUCTORS: dict[str, Callable[..., Layer]] = {}
_FUNCTIONS: dict[str, Callable] = {}
_NAMES: dict[int, str] = {}  # id of a registered function -> its name
_LARGEST = 4096  # numbers in an array that may become part of a recipe
_MOST_LAYERS = 10_000  # that one recipe may ask for; a short one may name a deep model many times
_left: ContextVar[list[int] | None] = ContextVar("left", default=None)  # while one is built


@dataclass(frozen=True, eq=False, repr=False)
class Recipe:
    """A call of a constructor: its name in the registry and its arguments, as data.

    ``repr`` is the code of the call, as it was written. Recipes are equal where the constructor
    receives the same, however it is written: by position, by name or by default. Arguments hold
    numbers, strings, tuples, dicts, other recipes, ``Named`` functions, and ``Opaque`` values,
    which cannot be stored.
    """

    name: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    signature: inspect.Signature

    @functools.cached_property
    def defaults(self) -> dict[str, Any]:
        """What the call leaves to the constructor, as far as it is data."""
        given = self.signature.bind(*self.args, **self.options).arguments
        left = {
            name: as_data(parameter.default)
            for name, parameter in self.signature.parameters.items()
            if name not in given
            and parameter.default is not parameter.empty
            and parameter.kind is not parameter.POSITIONAL_ONLY
        }
        return {name: value for name, value in left.items() if _storable(value)}

    @functools.cached_property
    def complete(self) -> bool:
        """Whether the layer can be rebuilt from this alone."""
        return _storable(self)

    @functools.cached_property
    def _received(self) -> Any:
        bound = self.signature.bind(*self.args, **self.options, **self.defaults)
        return self.name, _hashable(bound.arguments)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self._received == other._received

    def __hash__(self) -> int:
        return hash(self._received)

    def __repr__(self) -> str:
        parts = [*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.options.items())]
        return f"{_code_name(self.name)}({', '.join(parts)})"

    def to_json(self) -> dict[str, Any]:
        """The recipe in the form of the module's docstring.

        Raises:
            ValueError: the recipe is not complete; the parts that cannot be stored are listed.
        """
        if not self.complete:
            opaque = [part for part in _parts(self) if isinstance(part, Opaque)]
            raise ValueError(f"cannot be stored as data: {', '.join(map(repr, opaque))}")
        return _encode(self)


@dataclass(frozen=True, repr=False)
class Named:
    """A plain function of the registry, by name."""

    name: str

    def __repr__(self) -> str:
        return _code_name(self.name)


@dataclass(frozen=True, repr=False)
class Opaque:
    """An argument that is no data: a lambda, a private function, a large array."""

    text: str

    def __repr__(self) -> str:
        return self.text


def layer(constructor: Callable[..., Layer] | None = None, *, name: str | None = None) -> Any:
    """Enters a constructor of layers in the registry, and records the calls of it as recipes.

    Inside fcnn the name is the function's own. Elsewhere it begins with the top-level module,
    ``"lab:gated_conv"``, or is given: ``@fcnn.layer(name="lab:gated_conv")``. A saved network that
    holds such a layer loads wherever a constructor of that name has been registered.

    Example:
        >>> import fcnn
        >>> @fcnn.layer(name="lab:double_conv")
        ... def double_conv(features):
        ...     return fcnn.serial(fcnn.conv(features), fcnn.relu, fcnn.conv(features), fcnn.relu)
        >>> double_conv(8).recipe.to_json()
        {'call': 'lab:double_conv', 'args': [8], 'options': {}}

    Raises:
        ValueError: the library has a constructor of that name, or the name has no namespace.
    """
    if constructor is None:
        return functools.partial(layer, name=name)
    name = _register(_CONSTRUCTORS, constructor, name)
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def make(*args, **options):
        _count()
        made = constructor(*args, **options)
        if not isinstance(made, Layer):
            raise TypeError(
                f"{constructor.__name__} is a @layer and must return a Layer, not {made!r}"
            )
        given = {key: as_data(option) for key, option in options.items()}
        return replace(made, made_by=Recipe(name, tuple(map(as_data, args)), given, signature))

    make.makes_layer = True
    _CONSTRUCTORS[name] = make
    return make


def function(fn: Callable, *, name: str | None = None) -> Callable:
    """Enters a plain function ``x -> y`` in the registry, so that recipes can name it."""
    name = _register(_FUNCTIONS, fn, name)
    _FUNCTIONS[name] = fn
    _NAMES[id(fn)] = name
    return fn


def build(recipe: Recipe | Mapping[str, Any]) -> Layer:
    """The layer that a recipe describes; takes the JSON form as well.

    Raises:
        ValueError: a name is not in the registry, the data is not a recipe, or asks for more than
            10,000 layers.
        TypeError: a constructor does not take these arguments.
    """
    if isinstance(recipe, Recipe):
        recipe = recipe.to_json()
    token = _left.set([_MOST_LAYERS])
    try:
        made = _decode(recipe)
    finally:
        _left.reset(token)
    if not isinstance(made, Layer):
        raise ValueError(f"not the recipe of a layer: {recipe!r:.200}")
    return made


def as_data(value: Any) -> Any:
    """An argument of a constructor as it stands in a recipe."""
    match value:
        case None | bool() | int() | str() | Recipe() | Named() | Opaque():
            return value
        case float():
            return value if math.isfinite(value) else Opaque(repr(value))
        case Layer():
            return value.made_by or Opaque(repr(value))
        case tuple() | list():
            return tuple(map(as_data, value))
        case Mapping() if all(isinstance(key, str) for key in value):
            return {key: as_data(item) for key, item in value.items()}
        case np.generic():
            return as_data(value.item())
        case np.ndarray() | jax.Array() if not isinstance(value, jax.core.Tracer):
            return (
                as_data(value.tolist())
                if value.size <= _LARGEST
                else Opaque(f"<array {value.shape}>")
            )
    if id(value) in _NAMES and _FUNCTIONS[_NAMES[id(value)]] is value:
        return Named(_NAMES[id(value)])
    if isinstance(value, np.dtype) or (isinstance(value, type) and hasattr(value, "dtype")):
        return np.dtype(value).name
    return Opaque(_where_from(value))


def registered(kind: str = "call") -> dict[str, Callable]:
    """The registry as ``{name: constructor}``, or ``{name: function}`` with ``kind="function"``."""
    return dict(_CONSTRUCTORS if kind == "call" else _FUNCTIONS)


def _register(registry: dict[str, Callable], fn: Callable, name: str | None) -> str:
    package = (getattr(fn, "__module__", None) or "__main__").partition(".")[0]
    library = package in ("fcnn", "jax", "jaxlib")
    name = name or (fn.__name__ if library else f"{package}:{fn.__name__}")
    if not library and ":" not in name:
        raise ValueError(f"a name of your own needs a namespace, such as 'lab:{name}'")
    if name in registry and registry[name].__module__ != fn.__module__:
        raise ValueError(f"{registry[name].__module__} has a {name!r} already")
    return name


def _code_name(name: str) -> str:
    """The name by which code after ``from fcnn import *`` calls it."""
    fn = _CONSTRUCTORS.get(name) or _FUNCTIONS.get(name)
    module = (getattr(fn, "__module__", None) or "").split(".")
    if module[:2] in (["fcnn", "models"], ["fcnn", "study"]):
        return f"{module[1]}.{name}"
    if module[-1] == "initializers":
        return f"initializers.{name}"
    return name.rpartition(":")[2]


def _parts(value: Any):
    yield value
    match value:
        case Recipe():
            for part in (*value.args, *value.options.values()):
                yield from _parts(part)
        case tuple():
            for part in value:
                yield from _parts(part)
        case dict():
            for part in value.values():
                yield from _parts(part)


def _storable(value: Any) -> bool:
    return not any(isinstance(part, Opaque) for part in _parts(value))


def _hashable(value: Any) -> Any:
    """Tuples for dicts; their order counts, as it does in ``serial(a=..., b=...)``."""
    match value:
        case tuple():
            return tuple(map(_hashable, value))
        case dict():
            return tuple((key, _hashable(part)) for key, part in value.items())
    return value


def _encode(value: Any) -> Any:
    match value:
        case Recipe():
            options = {**value.options, **value.defaults}
            return {
                "call": value.name,
                "args": [_encode(arg) for arg in value.args],
                "options": {key: _encode(option) for key, option in options.items()},
            }
        case Named():
            return {"function": value.name}
        case tuple():
            return [_encode(part) for part in value]
        case dict():
            return {"dict": {key: _encode(part) for key, part in value.items()}}
    return value


def _decode(data: Any) -> Any:
    match data:
        case None | bool() | int() | float() | str():
            return data
        case list() | tuple():
            return tuple(map(_decode, data))
        case {"dict": dict(items), **rest} if not rest:
            return {key: _decode(item) for key, item in items.items()}
        case {"function": str(name), **rest} if not rest:
            _count()
            return _look_up(_FUNCTIONS, "function", name)
        case {"call": str(name), "args": list(args), "options": dict(options), **rest} if not rest:
            make = _look_up(_CONSTRUCTORS, "layer", name)
            given = {key: _decode(option) for key, option in options.items()}
            return make(*map(_decode, args), **_without_defaults(make, given))
    raise ValueError(f"not part of a recipe: {data!r:.200}")


def _without_defaults(make: Callable, options: dict[str, Any]) -> dict[str, Any]:
    """What has to be said: a layer from a file prints as briefly as it was once written."""
    parameters = inspect.signature(make).parameters
    return {
        key: option
        for key, option in options.items()
        if key not in parameters or as_data(option) != as_data(parameters[key].default)
    }


def _count() -> None:
    """Takes one layer from those that the recipe which is being built may still ask for."""
    left = _left.get()
    if left is not None:
        left[0] -= 1
        if left[0] < 0:
            raise ValueError(f"a recipe may ask for {_MOST_LAYERS:,} layers; this asks for more")


def _look_up(registry: dict[str, Callable], what: str, name: str) -> Callable:
    if name in registry:
        return registry[name]
    if ":" in name:
        raise ValueError(
            f"{what} {name!r} is not registered here; import the code that decorates it first"
        )
    raise ValueError(f"no {what} is called {name!r}")


def _where_from(value: Any) -> str:
    """A lambda by where it was written, any other thing by its type."""
    code = getattr(value, "__code__", None)
    if code is not None:
        return (
            f"<{value.__name__.strip('<>')} at {Path(code.co_filename).name}:{code.co_firstlineno}>"
        )
    return f"<{getattr(value, '__name__', type(value).__name__)}>"
