"""``python -m tests.benchmarks``: fcnn beside other frameworks; ``--help`` lists the options."""

import argparse
import json
import os
import platform
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from . import measuring, tables
from .cases import MODELS, Settings, chosen
from .workers import FRAMEWORKS, installed, version

KINDS = ("train", "inference", "compile", "scan", "ops", "epoch", "mlp")


def main(arguments: Sequence[str] | None = None) -> list[measuring.Row]:
    """Measures, prints what is found and then a table of each kind, and gives all the rows."""
    options = _options(arguments)
    present = [name for name in options.frameworks if installed(name)]
    missing = [name for name in options.frameworks if name not in present]
    versions = {name: version(name) for name in present}
    print(", ".join(f"{name} {number}" for name, number in versions.items()), flush=True)
    if missing:
        print(f"not installed, left out: {', '.join(missing)}")

    plan = _plan(options, present)
    rows = []
    for row in _rows(options, plan):
        rows.append(row)
        print(f"{row['kind']} {row['case']} {row['framework']} {row['median']:.4g}", flush=True)
    for kind in dict.fromkeys(row["kind"] for row in rows):
        print(f"\n{tables.table(rows, kind)}")
    print("", *tables.disagreements(rows), sep="\n")

    if options.out is not None:
        result = {
            "versions": versions,
            "missing": missing,
            "machine": {"processor": _processor(), "cores": os.cpu_count()},
            "plan": plan._asdict() | {"settings": plan.settings._asdict()},
            "rows": rows,
            "ratios": tables.ratios(rows),
        }
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    return rows


def _rows(options, plan) -> Iterator[measuring.Row]:
    cases = chosen(options.models)
    parts = {
        "scan": lambda: measuring.scans(cases, plan),
        "ops": lambda: measuring.operations(options.operations, plan),
        "epoch": lambda: measuring.epochs(plan),
        "mlp": lambda: measuring.perceptrons(plan),
    }
    return chain(
        measuring.models(cases, plan), *(parts[kind]() for kind in parts if kind in plan.kinds)
    )


def _plan(options, frameworks) -> measuring.Plan:
    settings = Settings(options.dtype, options.device, options.torch_compile)
    if options.quick:
        return measuring.Plan(options.kinds, frameworks, settings, 1, 0.02, 640, 0.05)
    return measuring.Plan(
        options.kinds, frameworks, settings, options.rounds, options.seconds, options.examples
    )


def _options(arguments):
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    add = parser.add_argument
    models = f"of {', '.join(MODELS)}, or patterns; all if not given"
    add("--models", nargs="+", default=[], metavar="NAME", help=models)
    add("--frameworks", nargs="+", default=list(FRAMEWORKS), choices=list(FRAMEWORKS))
    add("--kinds", nargs="+", default=["train", "inference", "compile"], choices=KINDS)
    add("--operations", default="", metavar="TEXT", help="only those whose names hold this text")
    add("--rounds", type=int, default=5, help="of which the median is taken")
    add("--seconds", type=float, default=0.4, help="the length of a round")
    add("--examples", type=int, default=60_000, help="how many pictures an epoch has")
    add("--dtype", default="float32", choices=["float32", "bfloat16"])
    add("--device", choices=["cpu", "gpu"], help="that which each framework takes, if not given")
    add("--torch-compile", action="store_true", help="PyTorch through torch.compile")
    add("--quick", action="store_true", help="one short round: does it run at all?")
    add("--out", type=Path, metavar="FILE", help="where the result is written as JSON")
    return parser.parse_args(arguments)


def _processor():
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
