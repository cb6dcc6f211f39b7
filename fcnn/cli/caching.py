"""Compiled programs that outlive the command, so that the next one starts at once."""

import os
from pathlib import Path

import jax

from .sources import say

OFF = {"off", "0", "no", "false"}


def keep_programs(wanted: bool) -> None:
    """Keeps what is compiled in ``$XDG_CACHE_HOME/fcnn``, else in ``~/.cache/fcnn``.

    A folder that the user has set for JAX stays as it is; ``FCNN_CACHE=off`` is as good as not
    ``wanted``. Where the folder cannot be written, nothing is kept, and that is said.
    """
    if not wanted or os.environ.get("FCNN_CACHE", "").lower() in OFF:
        jax.config.update("jax_enable_compilation_cache", False)
        return
    if jax.config.jax_compilation_cache_dir is not None:
        return
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fcnn"
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} cannot be written")
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows the user's home
        say(f"compiled programs are not kept: {error}")
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)  # small ones are the many
