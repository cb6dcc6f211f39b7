"""The command ``fcnn``: what the library does, for files.

Results go to standard output, everything else to standard error. Exit codes: 0, 1 for a failure,
2 for wrong usage, 130 for an interruption.
"""

import argparse
import sys
from collections.abc import Sequence

from . import describing, training, using


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="fcnn", description="Train, evaluate and use convolutional networks."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for topic in (training, using, describing):
        topic.add_commands(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options) or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, KeyError, OSError, ImportError, ArithmeticError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"fcnn {options.command}: {text}", file=sys.stderr)
        for note in getattr(error, "__notes__", []):
            if note.startswith("in layer "):
                print(f"  {note}", file=sys.stderr)
        return 1
