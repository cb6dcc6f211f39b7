import json

import pytest

from fcnn.cli import main


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """The command runs in this process, whose settings are not its to change; nothing is drawn."""
    monkeypatch.setattr("fcnn.cli.keep_programs", lambda wanted: None)
    monkeypatch.setattr("fcnn.cli.training.available", lambda module: False)


def train(out, *options):
    assert main(["train", "--model", "mlp", "--epochs", "1", "--out", str(out), *options]) == 0
    return json.loads((out / "report.json").read_text())


def test_an_augmentation_by_name_changes_the_training_and_stands_in_the_report(tmp_path):
    plain = train(tmp_path / "plain")
    shifted = train(tmp_path / "shifted", "--augment", "shift")
    assert plain["augment"] == "none"
    assert shifted["augment"] == "shift"
    assert plain["loss"] != shifted["loss"]


def test_an_unknown_augmentation_is_said_before_any_data_is_read(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", str(tmp_path / "no-such-data"), "--augment", "flop"])
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert "'flop'" in err
    assert "flip-crop" in err
    assert "no-such-data" not in err
