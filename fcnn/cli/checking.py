"""``fcnn data check``: what is wrong with pictures, before anything is trained on them."""

import argparse
import json
from typing import Any

from ..data.inspection import check


def add_commands(commands: Any) -> None:
    """Adds ``data``, with ``check``."""
    parser = commands.add_parser("data", help="look through pictures on disk")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = actions.add_parser(
        "check",
        help="files that cannot be read, leaks, duplicates",
        description="Reads and decodes every picture. Lists files that cannot be read, test "
        "pictures that are also in training, and pictures in two classes, and exits with 1 where "
        "there are such; lists what else is odd, and the classes, sizes and formats.",
    )
    action.add_argument(
        "path", metavar="DIR",
        help="folder of class folders, in train and test folders or not; a zip or a tar of one; "
        "a file .npz; or a folder of MNIST or CIFAR",
    )  # fmt: skip
    action.add_argument("--all", action="store_true", help="cut no list of files")
    action.add_argument("--json", action="store_true", help="print JSON, with all files")
    parser.set_defaults(run=run_check)


def run_check(options: argparse.Namespace) -> int:
    """Runs ``fcnn data check``: 0 without problems, else 1."""
    found = check(options.path)
    if options.json:
        print(json.dumps(found.to_json()))
    else:
        print(found.text(limit=None) if options.all else found)
    return 0 if found.ok else 1
