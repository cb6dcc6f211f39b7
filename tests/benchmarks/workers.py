"""The other end of the pipe: processes with one framework each, asked in turn."""

import importlib.util
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from .cases import Settings

# framework: the distribution that it comes in
FRAMEWORKS = {
    "fcnn": "fcnn",
    "torch": "torch",
    "keras": "keras",
    "flax": "flax",
    "equinox": "equinox",
    "lax": "jax",
    "sklearn": "scikit-learn",
}


class Failed(RuntimeError):
    """A worker could not do what it was asked to; the text is its traceback."""


class Worker:
    """One framework in a process that lives until ``close``, or the end of a ``with``."""

    def __init__(self, framework: str, settings: Settings):
        self.framework, self.settings = framework, settings
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.serving", framework],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env=os.environ | _environment(settings),
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, do: str, **arguments: Any) -> Any:
        """The value that the worker answers with.

        Raises:
            Failed: it met an error, or is gone.
        """
        if do in ("prepare", "call"):
            arguments["settings"] = list(self.settings)
        try:
            self._process.stdin.write(json.dumps([do, arguments]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Failed(f"the worker of {self.framework} ended with {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer["value"]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def installed(framework: str) -> bool:
    return importlib.util.find_spec("jax" if framework == "lax" else framework) is not None


def version(framework: str) -> str:
    return metadata.version(FRAMEWORKS[framework])


def _environment(settings: Settings) -> dict[str, str]:
    """A compilation is measured, so none comes from a cache; and several share the memory."""
    variables = {
        "JAX_ENABLE_COMPILATION_CACHE": "0",
        "KERAS_BACKEND": "jax",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if settings.device is not None:
        variables["JAX_PLATFORMS"] = {"gpu": "cuda"}.get(settings.device, settings.device)
    return variables
