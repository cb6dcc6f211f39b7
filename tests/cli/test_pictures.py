"""Folders of picture files on the command line: train, evaluate and predict on them."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fcnn.cli import main

from ..data.make_pictures import make_tree


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """The command runs in this process, whose settings are not its to change; nothing is drawn."""
    monkeypatch.setattr("fcnn.cli.keep_programs", lambda wanted: None)
    monkeypatch.setattr("fcnn.cli.training.available", lambda module: False)


@pytest.fixture
def squares(tmp_path):
    """Pictures that are dark or light, in two classes, of two sizes."""
    generator = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 192)):
        (tmp_path / "squares" / name).mkdir(parents=True)
        for i in range(20):
            pixels = generator.integers(low, low + 64, (8 + i % 2, 8, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "squares" / name / f"{i}.png")
    return tmp_path / "squares"


def train(data, out, *options):
    options = ["--model", "mlp", "--epochs", "30", "--batch-size", "8", "--out", str(out), *options]
    code = main(["train", str(data), *options])
    return code, json.loads((out / "report.json").read_text()) if code == 0 else None


@pytest.mark.parametrize("mode", ["rgb", "gray"])
@pytest.mark.parametrize("archive", [False, True])
def test_a_folder_is_trained_evaluated_and_predicted(squares, archive, mode, tmp_path, capsys):
    data = shutil.make_archive(squares, "zip", squares) if archive else squares
    code, report = train(data, tmp_path / "run", "--size", "8", "--mode", mode)
    assert code == 0
    assert report["accuracy"] == 1
    assert (report["size"], report["mode"], sum(map(sum, report["confusion"]))) == ([8, 8], mode, 8)
    capsys.readouterr()

    assert main(["evaluate", str(tmp_path / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["confusion"] == report["confusion"]
    assert main(["predict", str(tmp_path / "run"), str(squares / "light" / "1.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["class"] == "light"


def test_sizes_that_differ_need_one(squares, tmp_path, capsys):
    assert train(squares, tmp_path / "run") == (1, None)
    err = capsys.readouterr().err
    assert "8 x 8" in err
    assert "9 x 8" in err
    assert "size" in err


def test_bad_files_end_the_command_or_are_left_out(tmp_path, capsys):
    make_tree(tmp_path / "tree", count=60, bad=6, odd=6)
    options = ["--size", "16", "--epochs", "1"]
    assert train(tmp_path / "tree", tmp_path / "refused", *options) == (1, None)
    assert "cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()
    code, report = train(tmp_path / "tree", tmp_path / "run", *options, "--on-error", "skip")
    assert code == 0
    assert report["on_error"] == "skip"
    assert "cannot be read" in capsys.readouterr().err


def test_a_folder_that_is_named_is_evaluated_as_a_whole(squares, tmp_path, capsys):
    train(squares, tmp_path / "run", "--size", "8", "--epochs", "1")
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), str(squares), "--json"]) == 0
    said = capsys.readouterr()
    assert np.sum(json.loads(said.out)["confusion"]) == 40
    assert f"all of {squares}" in said.err


def test_a_bad_file_of_the_test_half_is_named_before_training(squares, tmp_path, capsys):
    for half in ("train", "test"):
        shutil.copytree(squares, tmp_path / "halves" / half)
    (tmp_path / "halves" / "test" / "dark" / "1.png").write_text("no picture")
    assert train(tmp_path / "halves", tmp_path / "run", "--size", "8") == (1, None)
    err = capsys.readouterr().err
    assert "test/dark/1.png" in err
    assert "epoch" not in err


def test_options_of_picture_files_are_refused_where_there_are_none(tmp_path, capsys):
    assert train("digits", tmp_path / "run", "--size", "8") == (1, None)
    assert "--size, --mode and --on-error are for picture files" in capsys.readouterr().err
