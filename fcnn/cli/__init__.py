"""The command ``fcnn``: what the library does, for files.

Results go to standard output, everything else to standard error. Exit codes: 0, 1 for a failure,
2 for wrong usage, 130 for an interruption, 143 for SIGTERM.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from ..store.manifest import versions
from . import checking, describing, explaining, searching, training, using, verifying
from .caching import keep_programs
from .sources import say

FAILURES = (
    ValueError,
    TypeError,
    KeyError,
    OSError,
    ImportError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="fcnn", description="Train, evaluate and use convolutional networks."
    )
    parser.add_argument("--version", action="version", version=f"fcnn {versions()['fcnn']}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for topic in (training, searching, using, explaining, checking, verifying, describing):
        topic.add_commands(commands)
    for command in commands.choices.values():
        command.add_argument(
            "--no-cache", action="store_true", help="keep no compiled programs for the next command"
        )
    options = parser.parse_args(arguments)
    try:
        keep_programs(not options.no_cache)
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = options.run(options) or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except FAILURES as error:
        print(f"fcnn {options.command}: {_message(error)}", file=sys.stderr)
        for note in getattr(error, "__notes__", []):
            if note.startswith("in "):
                print(f"  {note}", file=sys.stderr)
        return 1


def _warn(message: Warning | str, *where: object) -> None:
    """A warning in its own words, without the line of Python that gives it."""
    say(f"warning: {message}")


def _message(error: Exception) -> str:
    """The words of an error, without quotes around them or a number before them."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
