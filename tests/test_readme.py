"""The README is true: its program runs, its commands are those of the integration, its map is the
tree.
"""

import re
import shlex
from pathlib import Path

import pytest

import fcnn

ROOT = Path(fcnn.__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_first_program_runs_and_reaches_its_accuracy(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(compile(blocks("python")[0], "README.md", "exec"), found)  # noqa: S102
    assert found["report"].accuracy >= 0.98
    assert found["probabilities"].shape == (8, 10)
    assert found["heat"].shape == (8, 8, 8)
    assert "accuracy" in capsys.readouterr().out


def test_the_other_programs_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks("python")[1:]:
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102


def test_the_integration_runs_the_test_command_of_the_readme():
    commands = [line for block in blocks("") for line in block.splitlines() if "pytest" in line]
    assert len(commands) == 1
    assert commands[0] in (ROOT / ".ci" / "run").read_text().splitlines()
    assert shlex.split(commands[0])[0] == "python3"


def test_the_map_names_what_is_there():
    paths = re.findall(r"^\| `([\w/.]+)` \|", README, re.MULTILINE)
    assert len(paths) > 12
    for path in paths:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
