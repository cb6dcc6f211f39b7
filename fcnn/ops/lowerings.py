"""Which program computes an operation: the best one known for the platform, or lax's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from jax.experimental.xla_metadata import set_xla_metadata

LOWERINGS = ("fast", "native")

_current: ContextVar[str] = ContextVar("lowering", default="fast")


@contextmanager
def lowering(name: str) -> Iterator[None]:
    """Operations called or traced in this context are computed in the way named.

    ``"fast"``, the usual way, takes on CPUs the programs of ``fcnn.ops.cpu``, and XLA's own
    operations elsewhere. ``"native"`` takes XLA's own everywhere: to compare, to find out whether a
    difference comes from here, or to look at a program. Jitted functions are traced anew for it.

    Example:
        >>> import jax.numpy as jnp
        >>> from fcnn import ops
        >>> x, kernel = jnp.ones((1, 5, 5, 2)), jnp.ones((3, 3, 2, 4))
        >>> with ops.lowering("native"):
        ...     y = ops.conv(x, kernel)

    Raises:
        ValueError: there is no such way.
    """
    if name not in LOWERINGS:
        raise ValueError(f"lowering must be one of {', '.join(LOWERINGS)}, got {name!r}")
    token = _current.set(name)
    try:
        with set_xla_metadata(fcnn_lowering=name):  # part of the key under which jit keeps programs
            yield
    finally:
        _current.reset(token)


def is_native() -> bool:
    """Whether lax's own operations are asked for."""
    return _current.get() == "native"
