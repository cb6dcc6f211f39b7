"""What happens when a named child runs: its key, its scope, its blame, its observers.

The observers are the only ambient state in fcnn. They see a forward pass while it is traced;
nothing is kept once it ends.
"""

import contextlib
import zlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
from jax import random
from jax.extend.core import get_opaque_trace_state as trace_level

from .protocol import Layer, kind


class Visit(NamedTuple):
    """One call of a named child: where it stands, what it is, what went in and what came out."""

    path: str
    layer: Layer
    params: Any
    state: Any
    x: Any
    y: Any


Observer = Callable[[Visit], Any]  # visit -> y, the same or another

_path: ContextVar[tuple[str, ...]] = ContextVar("path", default=())
_observers: ContextVar[tuple[Observer, ...]] = ContextVar("observers", default=())


def child_key(key: jax.Array | None, name: str, visit: int = 0) -> jax.Array | None:
    """The key of a child: depends on its name, not on its neighbours."""
    if key is None:
        return None
    key = random.fold_in(key, zlib.crc32(name.encode()))
    return random.fold_in(key, visit) if visit else key


@contextlib.contextmanager
def child_scope(name: str, layer: Layer, x: Any) -> Iterator[None]:
    """Puts ``name`` on the path, in the profiler, and in the notes of any error."""
    token = _path.set((*_path.get(), name))
    try:
        with jax.named_scope(name):
            yield
    except Exception as error:
        _blame(error, name, f"({kind(layer)}, input {describe(x)})")
        raise
    finally:
        _path.reset(token)


def here(default: str = "this layer") -> str:
    """The path of the layer that runs now, for the text of its errors."""
    return "/".join(_path.get()) or default


def observed(layer: Layer, params: Any, state: Any, x: Any, y: Any) -> Any:
    """Shows a child's output to the observers; each may replace it."""
    for observe in _observers.get():
        y = observe(Visit(here(), layer, params, state, x, y))
    return y


@contextlib.contextmanager
def observers(*new: Observer) -> Iterator[None]:
    """Only these observers watch the forward passes traced inside (none: nobody does)."""
    token = _observers.set(new)
    try:
        yield
    finally:
        _observers.reset(token)


def visits(fn: Callable) -> Callable:
    """Makes ``fn`` return ``(result, [Visit, ...])``: every call of a named child, as it ended.

    Raises:
        TypeError: ``fn`` is jitted.
    """
    _refuse_jitted(fn, "visits takes the plain function")

    def visited(*args, **kwargs):
        seen: list[Visit] = []

        def note(visit):
            seen.append(visit)
            return visit.y

        with observers(*_observers.get(), _at_this_level(note)):
            return fn(*args, **kwargs), seen

    return visited


def capture(fn: Callable) -> Callable:
    """Makes ``fn`` return ``(result, {path: output})``, with every named output it computed.

    A child called twice is there twice: as ``path`` and ``path@2``. What runs inside ``repeat``,
    ``remat`` or a transformation that ``fn`` itself applies (``jax.jit``, ``vmap``, ``scan``) stays
    inside and is not captured; to compile, put ``jax.jit`` outside: ``jax.jit(capture(fn))``.

    Example:
        >>> import jax, fcnn
        >>> model = fcnn.serial(fcnn.conv(4), fcnn.relu, fcnn.flatten, fcnn.dense(10))
        >>> x = jax.numpy.ones((2, 8, 8, 1))
        >>> params, state = model.init(jax.random.key(0), x)
        >>> (logits, _), outputs = fcnn.capture(model.apply)(params, state, x)
        >>> {path: y.shape for path, y in outputs.items()}
        {'conv1': (2, 8, 8, 4), 'relu1': (2, 8, 8, 4), 'flatten1': (2, 256), 'dense1': (2, 10)}

    Raises:
        TypeError: ``fn`` is jitted.
    """
    _refuse_jitted(fn, "capture takes the plain function; write jax.jit(capture(f))")

    def captured(*args, **kwargs):
        result, seen = visits(fn)(*args, **kwargs)
        outputs: dict[str, Any] = {}
        times: dict[str, int] = {}
        for visit in seen:
            n = times[visit.path] = times.get(visit.path, 0) + 1
            outputs[visit.path if n == 1 else f"{visit.path}@{n}"] = visit.y
        return result, outputs

    return captured


def nudge(fn: Callable, path: str) -> Callable:
    """Makes ``fn(delta, *args)`` add ``delta`` to the output at ``path``; differentiate by it.

    The gradient at ``delta = 0`` is the gradient with respect to that output, whatever ``fn``
    does with it afterwards. It reaches what ``capture`` reaches, and a ``capture`` around or inside
    sees the sum; ``jax.jit`` goes outside.

    Raises:
        TypeError: ``fn`` is jitted.
        ValueError: when ``fn`` runs and no named output has that path; the paths are listed.
    """
    _refuse_jitted(fn, "nudge takes the plain function; write jax.jit(nudge(f, path))")

    def nudged(delta, *args, **kwargs):
        seen = []

        def add(visit):
            seen.append(visit.path)
            return visit.y + delta if visit.path == path else visit.y

        with observers(_at_this_level(add), *_observers.get()):
            result = fn(*args, **kwargs)
        if path not in seen:
            raise ValueError(f"no output is called {path!r}; there are {', '.join(seen) or 'none'}")
        return result

    return nudged


def describe(x: Any) -> str:
    """Shapes and dtypes, as in ``float32[8,32,32,3]``."""
    return ", ".join(
        f"{leaf.dtype.name}[{','.join(map(str, leaf.shape))}]"
        if hasattr(leaf, "dtype")
        else repr(leaf)
        for leaf in jax.tree.leaves(x)
    )


def _refuse_jitted(fn: Callable, message: str) -> None:
    if hasattr(fn, "lower"):
        raise TypeError(message)


def _at_this_level(observe: Observer) -> Observer:
    """Passes over what a transformation inside traces: caches would keep it, values would leak."""
    level = trace_level()

    def observe_here(visit):
        return observe(visit) if trace_level() == level else visit.y

    return observe_here


def _blame(error: Exception, name: str, detail: str) -> None:
    """Each scope the error leaves writes itself in front of the path: in layer a/b/c (...)."""
    path, detail = getattr(error, "_fcnn_blame", (None, detail))
    path = f"{name}/{path}" if path else name
    error._fcnn_blame = (path, detail)
    notes = [note for note in getattr(error, "__notes__", []) if not note.startswith("in layer ")]
    error.__notes__ = [*notes, f"in layer {path} {detail}"]
