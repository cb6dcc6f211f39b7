"""Optional dependencies: the one place where imports are late.

``import fcnn`` needs only jax, optax and numpy; what else a function needs is asked for here, when
it runs.
"""

import importlib
import importlib.util
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """The module, imported.

    Raises:
        ImportError: it is not installed; the message says which extra of fcnn brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(f"{package} is not installed: pip install 'fcnn[{extra}]'") from None


def available(module: str) -> bool:
    """Whether the module could be imported; it is not imported to find out."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # from an import hook that refuses it
        return False
