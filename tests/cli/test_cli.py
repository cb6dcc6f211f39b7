import csv
import json
import subprocess
import sys
import time

import numpy as np
import pytest

import fcnn
from fcnn.cli import main


@pytest.fixture(scope="module", autouse=True)
def no_cache():
    """The commands run in this process, whose settings are not theirs to change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fcnn.cli.keep_programs", lambda wanted: None)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run on the digits."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["train", "--epochs", "4", "--learning-rate", "0.003", "--out", str(out)]) == 0
    return out


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    """Only ``run``, which is made before, is drawn: drawing takes longer than training."""
    monkeypatch.setattr("fcnn.cli.training.available", lambda module: False)


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
    assert main(["evaluate", str(run / "network.fcnn"), "digits"]) == 0
    out, err = capsys.readouterr()
    assert f"accuracy {report['accuracy']:.4f}" in out
    assert "test data of digits" in err


def test_evaluate_gives_intervals_where_they_are_asked_for(run, capsys):
    assert main(["evaluate", str(run), "--intervals", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["intervals"]["level"] == 0.95
    for name in ("accuracy", "f1", "roc_auc", "log_loss", "calibration_error"):
        low, high = found["intervals"][name]
        assert low <= found[name] <= high
    assert main(["evaluate", str(run), "--intervals"]) == 0
    out = capsys.readouterr().out
    assert "ROC AUC" in out
    assert f"accuracy           {found['accuracy']:.4f}" in out


def test_evaluate_writes_a_page(run, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    page = tmp_path / "report.html"
    assert main(["evaluate", str(run), "--html", str(page)]) == 0
    out, err = capsys.readouterr()
    assert "accuracy" in out
    assert str(page) in err
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("report", [None, "{", "[]", '{"data": 1}'])
def test_evaluate_asks_for_data_it_cannot_know(run, report, tmp_path, capsys):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "network.fcnn").write_bytes((run / "network.fcnn").read_bytes())
    if report is not None:
        (bare / "report.json").write_text(report)
    for name in (bare, bare / "network.fcnn"):
        assert main(["evaluate", str(name)]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert f"{name} does not say what data to use; name it: fcnn evaluate {name} DATA" in err


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


def test_predict_says_which_file_does_not_fit(run, tmp_path, capsys):
    file = str(tmp_path / "rows.npy")
    np.save(file, np.zeros((3, 5)))
    assert main(["predict", str(run), file]) == 1
    err = capsys.readouterr().err
    assert "the network was made for inputs [8, 8, 1], got [5]" in err
    assert f"in {file}" in err


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
    table = json.loads(capsys.readouterr().out)
    assert table["params"] == 61_706
    assert sum(row["flops"] for row in table["rows"]) == table["flops"] == 2 * table["macs"] > 0
    assert main(["models", "resnet*", "--json"]) == 0
    assert "resnet18" in json.loads(capsys.readouterr().out)
    assert main(["summary", "mlp", "--input", "7", "--classes", "3"]) == 0
    assert "float32[1,7]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        ("resnet20", "8,8", "resnet20 cannot take an input of 8,8; models take pictures: height"),
        ("lenet5", "8", "lenet5 cannot take an input of 8; models take pictures"),
        ("lenet5", "8,8,1", "in lenet5 for an input of 8,8,1"),
    ],
)
def test_summary_says_which_input_does_not_fit(model, given, message, capsys):
    assert main(["summary", model, "--input", given]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert "pad" not in err or "padding" in err  # the words of fcnn, not those of jnp.pad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere"], "cannot tell what data 'nowhere' is"),
        (["train", "mnist:/nowhere"], "nowhere"),
        (["train", "--model", "resnet19"], "there is no model 'resnet19'"),
        (["train", "--model", "mnist_cnn"], "max_pool2: window 2x2 does not fit its input 1x1"),
        (["evaluate", "nowhere.fcnn"], "nowhere.fcnn: No such file or directory"),
        (["models", "nothing*"], "no model matches"),
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
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["train", "--epochs", "0"], "--epochs: must be a whole number from 1 on, got '0'"),
        (["train", "--epochs", "x"], "--epochs: must be a whole number from 1 on, got 'x'"),
        (["train", "--batch-size", "1.5"], "must be a whole number from 1 on, got '1.5'"),
        (["train", "--learning-rate", "x"], "must be a number above 0, such as 0.001, got 'x'"),
        (["train", "--learning-rate", "nan"], "must be a number above 0, such as 0.001, got 'nan'"),
        (["train", "--seed", "-1"], "--seed: must be a whole number from 0 on, got '-1'"),
        (["summary", "lenet5", "--input", "a"], "must be sizes such as 28,28,1, got 'a'"),
        (["summary", "lenet5", "--input", "8,0,1"], "must be sizes such as 28,28,1, got '8,0,1'"),
        (["summary", "lenet5", "--classes", "0"], "must be a whole number from 1 on, got '0'"),
    ],
)
def test_wrong_usage_is_exit_code_two(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert "usage" in err
    assert message in err
    assert " _" not in err  # no private name


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"fcnn {fcnn.__version__}\n"


def test_help_gives_each_default_once(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "folder for the results (default: runs/DATA-MODEL-N)" in text
    assert "default: None" not in text


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


@pytest.fixture
def scans():
    """The first digits as a scanner gives them: 8 bits, no channel axis."""
    train, test = fcnn.data.digits()
    x, y = np.concatenate([train.x, test.x])[:200], np.concatenate([train.y, test.y])[:200]
    return (x[..., 0] * 255).astype(np.uint8), y


def test_pictures_of_bytes_need_no_preparation(scans, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    x, y = scans
    np.savez("scans.npz", x=x, y=y)
    assert main(["train", "scans.npz", "--epochs", "12", "--out", "run"]) == 0
    err = capsys.readouterr().err
    assert "scans.npz: x is taken for gray pictures of 8 x 8, one channel each" in err
    assert "x holds uint8: the network begins with a division by 255" in err
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["accuracy"] > 0.6

    network = fcnn.load("run/network.fcnn")
    assert repr(network.layer).startswith("serial(rescale(0.0039")
    assert network.input.shape == (8, 8, 1)
    assert network.input.dtype == np.uint8
    assert main(["evaluate", "run", "--json"]) == 0  # on the data of the run
    assert json.loads(capsys.readouterr().out)["confusion"] == report["confusion"]

    np.save("many.npy", x[:3])
    np.save("one.npy", x[0])
    assert main(["predict", "run", "many.npy", "one.npy", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["file"] for row in rows] == ["many.npy[0]", "many.npy[1]", "many.npy[2]", "one.npy"]
    expected = fcnn.predict(network, x[:3, ..., None])
    found = [list(row["probabilities"].values()) for row in rows]
    np.testing.assert_allclose(found, [*expected, expected[0]], atol=1e-6)

    image = pytest.importorskip("PIL.Image")
    image.fromarray(x[0]).save("one.png")
    assert main(["predict", "run", "one.png", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(list(row["probabilities"].values()), expected[0], atol=1e-6)


def test_square_pictures_of_floats_get_a_channel_and_short_rows_do_not(scans, tmp_path, capsys):
    x, y = scans
    pictures, rows = tmp_path / "pictures.npz", tmp_path / "rows.npz"
    np.savez(pictures, x=x / 255, y=y)
    np.savez(rows, x=x[:, :, :5] / 255, y=y)
    for file, shape in ((pictures, (8, 8, 1)), (rows, (8, 5))):
        out = tmp_path / file.stem
        assert main(["train", str(file), "--model", "mlp", "--epochs", "1", "--out", str(out)]) == 0
        network = fcnn.load(out / "network.fcnn")
        assert network.input.shape == shape
        assert "rescale" not in repr(network.layer)
        assert ("gray pictures" in capsys.readouterr().err) == (len(shape) == 3)


def test_one_hot_targets_have_as_many_classes_as_columns(scans, tmp_path):
    x, y = scans
    few = y < 3
    np.savez(tmp_path / "hot.npz", x=x[few], y=np.eye(7, dtype=np.float32)[y[few]])
    command = ["train", str(tmp_path / "hot.npz"), "--model", "mlp", "--epochs", "2", "--out"]
    assert main([*command, str(tmp_path / "run")]) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert np.shape(report["confusion"]) == (7, 7)
    assert main(["evaluate", str(tmp_path / "run")]) == 0


def test_classes_of_the_test_data_count_too(scans, tmp_path):
    x, y = scans
    low = y < 9
    parts = {"x_train": x[low], "y_train": y[low], "x_test": x[~low], "y_test": y[~low]}
    np.savez(tmp_path / "late.npz", **parts)
    command = ["train", str(tmp_path / "late.npz"), "--model", "mlp", "--epochs", "1", "--out"]
    assert main([*command, str(tmp_path / "run")]) == 0


def test_numbers_to_predict_are_no_classes(scans, tmp_path, capsys):
    x, y = scans
    np.savez(tmp_path / "ages.npz", x=x, y=y + 0.5)
    assert main(["train", str(tmp_path / "ages.npz"), "--out", str(tmp_path / "run")]) == 1
    assert "y holds float32, but classes are needed" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_finished_training_is_never_lost(run, tmp_path, monkeypatch, capsys):
    def fails(*args):
        raise ValueError("no figures today")

    monkeypatch.setattr("fcnn.cli.training.train.evaluate", fails)
    out = tmp_path / "run"
    assert main(["train", "--model", "mlp", "--epochs", "1", "--out", str(out)]) == 1
    assert "no figures today" in capsys.readouterr().err
    monkeypatch.undo()
    assert (out / "history.csv").exists()
    assert main(["evaluate", str(out), "digits"]) == 0


def command(*arguments, without=()):
    """``python -m fcnn`` with these arguments, where some packages cannot be imported."""
    code = (
        "import runpy, sys\n"
        f"sys.modules.update(dict.fromkeys({list(without)}))\n"
        f"sys.argv = {['fcnn', *map(str, arguments)]}\n"
        "runpy.run_module('fcnn', run_name='__main__', alter_sys=True)\n"
    )
    return [sys.executable, "-W", "error", "-c", code]


def test_one_command_trains_to_98_percent_without_any_extra(tmp_path):
    out = tmp_path / "run"
    extras = ("rich", "matplotlib", "PIL", "sklearn", "safetensors")
    begun = time.perf_counter()
    done = subprocess.run(
        command("train", "--out", out, without=extras), capture_output=True, text=True, timeout=120
    )
    seconds = time.perf_counter() - begun
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "accuracy" in done.stdout
    names = {file.name for file in out.iterdir() if not file.name.startswith(".")}
    results = {"network.fcnn", "history.csv", "report.json"}
    assert names == {*results, "settings.json", "checkpoints"}
    assert f"{out}: {', '.join(sorted(names))}" in done.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["accuracy"] >= 0.98
    assert {"loss", "precision", "recall", "f1", "per_class", "confusion"} <= report.keys()
    assert report["seed"] == 0
    assert 0 < report["seconds"] < seconds < 45
    assert report["versions"].keys() >= {"fcnn", "jax", "jaxlib", "numpy", "optax", "python"}
    assert report["versions"]["device"]


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "fcnn", "models"], capture_output=True, text=True, check=True
    )
    assert "resnet18" in done.stdout


def test_a_reader_that_has_enough_is_no_failure_to_report():
    with subprocess.Popen(
        command("models"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == ""


def test_an_interruption_is_exit_code_130(monkeypatch, capsys):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("fcnn.cli.training.read_data", interrupted)
    assert main(["train"]) == 130
    assert "interrupted" in capsys.readouterr().err
