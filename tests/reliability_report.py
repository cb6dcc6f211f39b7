"""How far each promise of reliability was kept: ``python -m tests.reliability_report [--long]``.

Runs the tests of every promise, and prints a table in Markdown: what is promised, how many cases
were tried, and the figures that the tests print.
"""

import argparse
import contextlib
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
# Number, promise, and the tests that show it: files, or beginnings of the names in a file.
PROMISES = {
    "R1": (
        "a kill at any moment leaves a checkpoint that loads",
        (
            "reliability/test_kills.py",
            "store/test_faults.py::test_every_crash",
            "store/test_faults.py::test_bytes_are_durable",
            "store/test_endings.py::test_a_killed_writer",
        ),
    ),
    "R2": (
        "a full disk or an I/O error costs the new checkpoint, not the old one",
        (
            "reliability/test_full_disks.py",
            "store/test_faults.py::test_one_failing",
            "store/test_faults.py::test_a_disk_that_fails",
            "store/test_faults.py::test_a_full_disk",
        ),
    ),
    "R3": (
        "interrupted and resumed equals never interrupted, bit for bit",
        ("train/test_checkpointing.py", "reliability/test_kills.py"),
    ),
    "R4": (
        "a damaged checkpoint or network is never loaded",
        (
            "store/test_damage.py::test_damage",
            "store/test_damage.py::test_files_swapped",
            "store/test_damage.py::test_a_flipped",
            "store/test_checkpoints.py::test_the_newest_intact",
            "store/test_networks.py",
        ),
    ),
    "R5": (
        "loading runs no code from a file, and takes no more than twice its size",
        ("security/", "store/test_checkpoints.py::test_reading_takes"),
    ),
    "R6": (
        "a number that is not finite never reaches weights or checkpoints, and is traced to where "
        "it came from",
        (
            "reliability/test_not_finite.py",
            "train/test_diagnosing.py",
            "train/test_stepping.py::test_what_is_not_finite",
        ),
    ),
    "R7": (
        "a broken picture is reported before the first step",
        ("data/test_inspection.py", "data/test_loading.py", "data/test_pictures.py"),
    ),
    "R8": (
        "empty, tiny, ragged and mismatched data work, or say why not",
        ("reliability/test_any_size_of_data.py",),
    ),
    "R9": (
        "wrong shapes, dtypes and labels are refused in words, before any tracing",
        ("reliability/test_bad_arguments.py", "train/test_checks.py"),
    ),
    "R10": ("class weights mean what they say", ("reliability/test_class_weights.py",)),
    "R11": ("out of memory names a batch size that fits", ("train/test_memory.py",)),
    "R12": (
        "Ctrl-C ends a run as a result, not as a loss",
        ("train/test_interruptions.py", "reliability/test_signals.py"),
    ),
    "R13": (
        "SIGTERM leaves a checkpoint of the last step",
        ("train/test_interruptions.py::test_sigterm", "reliability/test_signals.py"),
    ),
    "R15": ("same seed, same bits", ("reliability/test_same_bits.py",)),
    "R16": (
        "losses stay finite and exact at the edges",
        ("reliability/test_losses_at_the_edges.py", "test_losses.py"),
    ),
    "R17": ("every gradient is checked", ("reliability/test_gradients.py", "ops/")),
    "R18": (
        "properties hold for shapes nobody thought of",
        ("property/", "store/test_endings.py::test_any_sequence"),
    ),
    "R19": (
        "we agree with the references, at large sizes too",
        ("parity/", "reliability/test_compiler_faults.py"),
    ),
    "R20": ("files of every past release load", ("releases/",)),
    "R21": (
        "saving beside training, and several readers, are safe",
        (
            "train/test_writing.py",
            "store/test_locks.py",
            "store/test_checkpoints.py::test_a_reader_beside",
        ),
    ),
    "R22": ("quiet and light", ("reliability/test_quiet.py",)),
}  # R14, several devices, is not promised yet.


@dataclass
class Kept:
    """What the tests of a promise showed."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    reached: list[str] = field(default_factory=list)


class Reports(list):
    """A plugin of pytest that keeps what is reported of every test."""

    def pytest_runtest_logreport(self, report):
        """Keeps a report: of the test itself, or of a preparation that ended it."""
        if report.when == "call" or report.outcome != "passed":
            self.append(report)


def main() -> int:
    """Prints the table; 1 if a test failed or a promise has no test that ran."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability_report", description=__doc__)
    parser.add_argument("--long", action="store_true", help="with the larger numbers, `-m slow`")
    marks = ["-m", "slow or not slow"] if parser.parse_args().long else []
    paths = {test.partition("::")[0] for _, tests in PROMISES.values() for test in tests}
    reports = Reports()
    with contextlib.redirect_stdout(sys.stderr):
        pytest.main(
            [
                "-q",
                "-n",
                "2",
                "--dist",
                "loadfile",
                *marks,
                *(str(ROOT / path) for path in sorted(paths)),
            ],
            [reports],
        )
    kept = {number: look(reports, tests) for number, (_, tests) in PROMISES.items()}
    print(table(kept))
    return int(
        any(each.outcomes["failed"] or not each.outcomes["passed"] for each in kept.values())
    )


def look(reports: Reports, tests: tuple[str, ...]) -> Kept:
    """What became of these tests."""
    kept = Kept()
    for report in reports:
        if report.nodeid.removeprefix("tests/").startswith(tests):
            kept.outcomes[report.outcome] += 1
            kept.seconds += report.duration
            kept.reached += report.capstdout.splitlines()
    return kept


def table(kept: dict[str, Kept]) -> str:
    """The table, in Markdown."""
    lines = ["| | promise | reached | tests | seconds |", "| --- | --- | --- | --- | --- |"]
    for number, (promise, _) in PROMISES.items():
        each = kept[number]
        counts = ", ".join(f"{count} {outcome}" for outcome, count in each.outcomes.items())
        reached = "; ".join(dict.fromkeys(each.reached)) or "all cases"
        lines.append(f"| {number} | {promise} | {reached} | {counts} | {each.seconds:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
