"""The examples run as their first lines say; figures in them were printed by them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fcnn

ROOT = Path(fcnn.__file__).parent.parent
DATA = Path(os.environ.get("FCNN_DATA", ROOT.parent / "shared" / "data"))


def run(name, *arguments, timeout=300):
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_digits_reaches_its_accuracy():
    out = run("digits.py")
    assert float(out.split("accuracy ")[1].split(",")[0]) >= 0.98


def test_custom_layer_is_trained_and_kept():
    out = run("custom_layer.py")
    assert float(out.split("test accuracy ")[1].split()[0]) >= 0.95
    assert "the same to the last bit" in out


@pytest.mark.slow
def test_mnist_reaches_its_accuracy():
    if not (DATA / "mnist").is_dir():
        pytest.skip(f"no MNIST in {DATA}; set FCNN_DATA")
    out = run("mnist.py", DATA / "mnist", timeout=1200)
    assert float(out.split("test accuracy ")[1].split(",")[0]) >= 0.99


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name
)
def test_an_example_says_command_data_and_what_was_seen(path):
    text = path.read_text()
    assert all(word in text for word in ("Command:", "Data:", "Seen:"))
    assert len(text.splitlines()) <= 100
