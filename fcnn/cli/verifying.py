"""``fcnn checkpoint``: what is in a folder of checkpoints, and whether every byte is whole."""

import argparse
import json
from pathlib import Path
from typing import Any

from ..store.checkpoints import checkpoint_paths, is_name, read_checkpoint
from ..store.files import CheckpointError
from ..tables import text_table


def add_commands(commands: Any) -> None:
    """Adds ``checkpoint``, with ``list`` and ``verify``."""
    parser = commands.add_parser("checkpoint", help="list and verify the checkpoints of a run")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, what in (
        ("list", "print the checkpoints of a run, oldest first"),
        ("verify", "the same, and exit with 1 if one is damaged or there is none"),
    ):
        action = actions.add_parser(
            name, help=what, description=f"{what.capitalize()}. All their bytes are read."
        )
        action.add_argument("path", metavar="DIR", help="folder of a run, or of its checkpoints")
        action.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs ``fcnn checkpoint list`` and ``verify``."""
    folder = Path(options.path)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    inner = folder / "checkpoints"
    one = is_name(folder.name) and folder.is_dir()
    paths = [folder] if one else checkpoint_paths(inner if inner.is_dir() else folder)
    found = map(_row, paths)
    rows = [row for row in found if row is not None]
    if options.json:
        print(json.dumps(rows))
    elif rows:
        columns = list(rows[0])
        cells = [["" if row[name] is None else str(row[name]) for name in columns] for row in rows]
        print(text_table([columns, *cells], "lrrll"))
    if options.action == "list":
        return 0
    bad = [row["problem"] for row in rows if row["problem"]]
    if bad:
        lines = "\n  ".join(bad)
        raise ValueError(f"{len(bad)} of {len(rows)} checkpoints cannot be used\n  {lines}")
    if not rows:
        raise ValueError(f"{folder} holds no checkpoints")
    return 0


def _row(path: Path) -> dict[str, Any] | None:
    """What is told of a checkpoint; None for one that a run has deleted meanwhile."""
    row = {"checkpoint": path.name, "bytes": None, "epochs": None, "written_with": None}
    try:
        row["bytes"] = sum(file.lstat().st_size for file in path.iterdir())
        found = read_checkpoint(path)
    except (CheckpointError, OSError) as error:
        return row | {"problem": str(error)} if path.exists() else None
    versions = found.environment["versions"]
    return row | {
        "epochs": found.notes.get("position", {}).get("epoch"),
        "written_with": f"fcnn {versions['fcnn']}, jax {versions['jax']}",
        "problem": None,
    }
