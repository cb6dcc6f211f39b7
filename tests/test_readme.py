"""The README is true: its program runs, its commands are those of the integration, its map is the
tree.
"""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import fcnn

ROOT = Path(fcnn.__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


def test_the_first_program_runs_and_reaches_its_accuracy(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(compile(blocks("python")[0], "README.md", "exec"), found)  # noqa: S102
    assert found["report"].accuracy >= 0.98
    assert found["probabilities"].shape == (8, 10)
    assert found["heat"].shape == (8, 8, 8)
    assert "accuracy" in capsys.readouterr().out


def test_the_other_program_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = blocks("python")[1]
    found = {}
    exec(compile(block, "README.md", "exec"), found)  # noqa: S102
    assert found["params"]["block1"]["conv1"]["kernel"].shape == (3, 3, 8, 8)
    assert found["params"]["block2"]["scale"]["gamma"].shape == (8,)
    assert found["logits"].shape == (4, 10)
    assert int(found["ts"].step) == 45  # one pass over 1,438 examples, 32 at a time
    assert np.isfinite(found["metrics"]["loss"])


def test_the_run_with_checkpoints_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = blocks("python")[2]
    found, again = {}, {}
    exec(compile(block, "README.md", "exec"), found)  # noqa: S102
    assert len(found["history"]) == 10
    assert fcnn.load("runs/digits").classes == found["network"].classes
    exec(compile(block, "README.md", "exec"), again)  # noqa: S102
    np.testing.assert_array_equal(again["history"]["loss"], found["history"]["loss"])


def test_a_network_is_judged_and_explained(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(compile(blocks("python")[3], "README.md", "exec"), found)  # noqa: S102
    assert found["sets"].shape == (len(found["test"]), 10)
    assert found["maps"].shape == (8, 8, 8)
    assert found["calibrated"].classes == found["network"].classes


def test_a_network_is_tuned_for_another_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(compile(blocks("python")[4], "README.md", "exec"), found)  # noqa: S102
    assert fcnn.evaluate(found["probe"], found["high"]).accuracy > 0.8


def test_a_grid_is_trained_by_one_program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {}
    _, _, _, _, _, block = blocks("python")
    exec(compile(block, "README.md", "exec"), found)  # noqa: S102
    assert len(found["members"]) == 4


def test_the_integration_runs_the_test_command_of_the_readme():
    commands = [line for block in blocks("") for line in block.splitlines() if "pytest" in line]
    assert len(commands) == 1
    assert shlex.split(commands[0])[0] == "python3"
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == commands[0]  # the last, so that its failure is that of the script
    assert {".venv/bin/ruff check", ".venv/bin/ruff format --check"} <= set(lines)
    assert "set -euo pipefail" in lines


@pytest.mark.parametrize(
    "path",
    [ROOT / "README.md", *sorted((ROOT / "examples").glob("*.py"))],
    ids=lambda path: path.name,
)
def test_nothing_is_left_to_be_filled_in(path):
    assert not re.search(r"\b(RESULTS|COMPARISON|SEEN)\b", path.read_text())


def test_the_map_names_what_is_there():
    section = README.partition("\n## A map\n")[2].partition("\n## ")[0]
    paths = re.findall(r"^\| `([\w/.]+)` \|", section, re.MULTILINE)
    assert len(paths) > 12
    for path in paths:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
