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


@pytest.mark.slow
def test_what_was_learned_elsewhere_is_worth_ten_points():
    """And what is frozen keeps every bit, which the example asserts."""
    folder = DATA / "cifar10"
    if not (folder / "train" / "airplane").is_dir():
        pytest.skip(f"no CIFAR-10 as pictures in {folder}; set FCNN_DATA")
    out = run("fine_tune.py", folder, timeout=3600)
    rows = [line.split(" test accuracy ") for line in out.splitlines() if " test accuracy " in line]
    accuracy = {name.strip(): float(rest.split()[0]) for name, rest in rows}
    assert len(accuracy) == 6
    assert accuracy["the head first, then all"] >= accuracy["from scratch"] + 0.1


@pytest.mark.slow
def test_explain_mri_shows_what_the_leak_is_worth(tmp_path):
    place = next(
        filter(Path.exists, (DATA / "brain-mri" / "brain-mri.zip", DATA / "brain-mri")), None
    )
    if place is None:
        pytest.skip(f"no brain-mri in {DATA}; set FCNN_DATA")
    out = run("explain_mri.py", place, tmp_path, timeout=1200)
    assert out.startswith("251 of the 394 pictures in Testing are also in Training")
    leaked, clean = (float(part.split()[0]) for part in out.split(": test accuracy ")[1:])
    assert leaked > clean + 0.1
    assert float(out.split("held out: accuracy ")[1].split(",")[0]) >= 0.75
    assert all((tmp_path / name).exists() for name in ("report.html", "mistakes.png"))


@pytest.mark.slow
def test_a_search_within_a_pipeline_beats_the_perceptron():
    out = run("sklearn_pipeline.py", timeout=900)
    best = float(out.split("the best of them: test accuracy ")[1].split()[0])
    assert best >= 0.97
    assert best > float(out.split("epochs: test accuracy ")[1].split()[0])


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name
)
def test_an_example_says_command_data_and_what_was_seen(path):
    text = path.read_text()
    assert all(word in text for word in ("Command:", "Data:", "Seen:"))
    assert len(text.splitlines()) <= 100
