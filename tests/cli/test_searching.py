"""The command that searches: what it leaves, and how it goes on."""

import csv
import json

import jax
import numpy as np
import pytest

import fcnn
from fcnn.cli import main


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    train, test = fcnn.data.digits()
    parts = {"x_train": train.x[:200], "y_train": train.y[:200]}
    np.savez(folder / "scans.npz", **parts, x_test=test.x[:80], y_test=test.y[:80])
    return folder


@pytest.fixture(autouse=True)
def as_it_is(monkeypatch):
    former = jax.config.jax_compilation_cache_dir
    monkeypatch.setattr("fcnn.cli.keep_programs", lambda wanted: None)
    yield
    jax.config.update("jax_compilation_cache_dir", former)


def search(place, *options):
    return main(["search", str(place / "scans.npz"), "--model", "mlp", "--epochs", "2", *options])


def test_a_grid_leaves_the_best_network_its_report_and_a_table(place, capsys):
    out = place / "grid"
    tried = ["--try", "learning_rate=1e-5,1e-2", "--try", "batch_size=16,64"]
    assert search(place, *tried, "--out", str(out), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["best"]["learning_rate"] == 0.01
    assert len(found["trials"]) == 4
    with open(out / "results.csv") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["score"]) == min(float(row["score"]) for row in rows)
    network = fcnn.load(out / "network.fcnn")
    test = fcnn.data.npz(place / "scans.npz")[1]
    assert fcnn.evaluate(network, test).accuracy == found["test"]["accuracy"]


def test_it_goes_on_where_it_ended(place, capsys):
    tried = ["--try", "learning-rate=1e-4:1e-1:log", "--out", str(place / "random"), "--json"]
    assert search(place, *tried, "--n", "2") == 0
    first = json.loads(capsys.readouterr().out)["trials"]
    assert search(place, *tried, "--n", "3") == 0
    second = json.loads(capsys.readouterr().out)["trials"]
    assert second[:2] == first
    assert len(second) == 3


def test_a_folder_is_for_one_model_and_one_source(place, capsys):
    tried = ["--try", "learning_rate=1e-2", "--out", str(place / "one")]
    assert search(place, *tried) == 0
    assert search(place, *tried, "--model", "small_cnn") == 1
    assert search(place, *tried, "--epochs", "3") == 1
    assert "options.json: is of another search" in capsys.readouterr().err


def test_options_of_the_model_are_tried(place, capsys):
    assert search(place, "--try", "rate=0,0.5", "--out", str(place / "rate")) == 0
    printed = capsys.readouterr().out
    assert "the best, on the test data" in printed
    assert "rate" in printed.splitlines()[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--try", "learning_rate=1e-4:1e-1"], "say how often, --n 20"),
        (["--try", "rate=0", "--try", "rate=1"], "given twice"),
        (["--try", "depth=3"], "every trial failed"),
    ],
)
def test_what_cannot_be_searched_is_said(place, tmp_path, capsys, options, words):
    assert search(place, *options, "--out", str(tmp_path / "run")) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("text", ["rate", "=3", "rate=", "rate=a:b", "rate=1:0", "rate=1:2:cube"])
def test_what_is_no_choice_is_wrong_usage(place, capsys, text):
    with pytest.raises(SystemExit) as ended:
        search(place, "--try", text)
    assert ended.value.code == 2
