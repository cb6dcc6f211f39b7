import csv
import json
import subprocess
import sys

import numpy as np
import pytest

import fcnn
from fcnn.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run on the digits."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["train", "--epochs", "4", "--learning-rate", "0.003", "--out", str(out)]) == 0
    return out


def test_train_leaves_network_history_and_report(run):
    assert {"network.fcnn", "history.csv", "report.json"} <= {file.name for file in run.iterdir()}
    report = json.loads((run / "report.json").read_text())
    assert report["accuracy"] > 0.95
    assert {
        "loss",
        "precision",
        "recall",
        "f1",
        "per_class",
        "confusion",
        "seconds",
        "seed",
    } <= set(report)
    assert report["versions"]["fcnn"] == fcnn.__version__
    assert np.sum(report["confusion"]) == 359
    with open(run / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]


def test_the_pictures_are_drawn(run):
    pytest.importorskip("matplotlib")
    assert (run / "history.png").stat().st_size > 5000
    assert (run / "confusion.png").stat().st_size > 5000


def test_evaluate_gives_the_figures_of_the_report(run, capsys):
    assert main(["evaluate", str(run), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    report = json.loads((run / "report.json").read_text())
    assert again["accuracy"] == report["accuracy"]
    assert again["confusion"] == report["confusion"]
    assert main(["evaluate", str(run / "network.fcnn")]) == 0
    assert "accuracy" in capsys.readouterr().out


def test_predict_reads_arrays(run, tmp_path, capsys):
    _, test = fcnn.data.digits()
    np.save(tmp_path / "three.npy", test.x[:3])
    np.save(tmp_path / "one.npy", test.x[0])
    assert (
        main(
            ["predict", str(run), str(tmp_path / "three.npy"), str(tmp_path / "one.npy"), "--json"]
        )
        == 0
    )
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 4
    assert rows[0]["class"] == rows[3]["class"] == str(test.y[0])
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_predict_and_explain_read_pictures(run, tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    _, test = fcnn.data.digits()
    file = str(tmp_path / "digit.png")
    image.fromarray((test.x[0, ..., 0] * 255).astype(np.uint8)).save(file)
    assert main(["predict", str(run), file]) == 0
    assert f"{file}  {test.y[0]} " in capsys.readouterr().out
    drawn = tmp_path / "why.png"
    assert main(["explain", str(run), file, "--out", str(drawn)]) == 0
    assert drawn.stat().st_size > 5000


def test_summary_and_models_print(capsys):
    assert main(["summary", "resnet20", "--input", "32,32,3"]) == 0
    assert "269,722" in capsys.readouterr().out
    assert main(["summary", "lenet5", "--input", "28,28,1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["params"] == 61_706
    assert main(["models", "resnet*", "--json"]) == 0
    assert "resnet18" in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere"], "cannot tell what data 'nowhere' is"),
        (["train", "mnist:/nowhere"], "nowhere"),
        (["train", "--model", "resnet19"], "there is no model 'resnet19'"),
        (["train", "--model", "mnist_cnn"], "max_pool2: window 2x2 does not fit its input 1x1"),
        (["evaluate", "nowhere.fcnn"], "nowhere.fcnn"),
        (["models", "x*"], "no model matches"),
    ],
)
def test_failures_are_one_message_and_exit_code_one(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert not list(tmp_path.glob("runs/*"))


def test_a_damaged_network_is_named(run, tmp_path, capsys):
    broken = tmp_path / "broken.fcnn"
    raw = bytearray((run / "network.fcnn").read_bytes())
    raw[len(raw) // 2] ^= 1
    broken.write_bytes(raw)
    assert main(["evaluate", str(broken)]) == 1
    assert "broken.fcnn" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["train", "--epochs", "0"], ["summary", "lenet5", "--input", "a"]]
)
def test_wrong_usage_is_exit_code_two(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_runs_are_numbered_and_archives_are_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train, test = fcnn.data.digits()
    np.savez(
        "scans.npz",
        x_train=train.x[:64],
        y_train=train.y[:64],
        x_test=test.x[:32],
        y_test=test.y[:32],
    )
    for n in (1, 2):
        assert main(["train", "scans.npz", "--model", "mlp", "--epochs", "1"]) == 0
        assert (tmp_path / "runs" / f"scans-mlp-{n}" / "report.json").exists()


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "fcnn", "models"], capture_output=True, text=True, check=True
    )
    assert "resnet18" in done.stdout


def test_an_interruption_is_exit_code_130(monkeypatch, capsys):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("fcnn.cli.training.read_data", interrupted)
    assert main(["train"]) == 130
    assert "interrupted" in capsys.readouterr().err
