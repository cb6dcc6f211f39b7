import json
import shutil

import numpy as np
import pytest

import fcnn
from fcnn import dense, flatten, serial
from fcnn.cli import main


@pytest.fixture(scope="module", autouse=True)
def no_cache():
    """The commands run in this process, whose settings are not theirs to change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fcnn.cli.keep_programs", lambda wanted: None)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run" / "checkpoints"
    data = np.ones((10, 4), np.float32), np.arange(10) % 2
    fcnn.fit(
        serial(flatten, dense(2)), data, epochs=2, batch_size=4, every=2, checkpoint=folder,
        keep=4, progress=False, check=False,
    )  # fmt: skip
    return folder.parent


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


NAMES = ["step_00000002", "step_00000003", "step_00000004", "step_00000006"]


@pytest.mark.parametrize("action", ["list", "verify"])
@pytest.mark.parametrize("inner", [".", "checkpoints"])
def test_whole_checkpoints_are_listed(action, inner, run, capsys):
    assert main(["checkpoint", action, str(run / inner), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["checkpoint"] for row in rows] == NAMES
    assert [row["epochs"] for row in rows] == [0, 1, 1, 2]
    for row in rows:
        files = (run / "checkpoints" / row["checkpoint"]).iterdir()
        assert row["bytes"] == sum(len(file.read_bytes()) for file in files)
        assert row["written_with"].startswith(f"fcnn {fcnn.__version__}, jax ")
        assert row["problem"] is None
    assert main(["checkpoint", action, str(run / inner)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split()[0] for line in out.splitlines() if "step_" in line] == NAMES


@pytest.mark.parametrize("file", ["state.npz", "manifest.json"])
def test_damage_is_exit_code_one_and_names_the_file(file, run, capsys):
    damaged = run / "checkpoints" / NAMES[1] / file
    flip(damaged)
    assert main(["checkpoint", "verify", str(run)]) == 1
    out, err = capsys.readouterr()
    assert "1 of 4 checkpoints cannot be used" in err
    assert f"  {damaged}: " in err
    assert "Traceback" not in err
    assert str(damaged) in out
    assert main(["checkpoint", "verify", str(run), "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row["problem"] is None for row in rows] == [True, False, True, True]
    assert rows[1]["problem"].startswith(str(damaged))
    assert main(["checkpoint", "list", str(run)]) == 0
    assert str(damaged) in capsys.readouterr().out


def test_a_missing_file_is_damage(run, capsys):
    (run / "checkpoints" / NAMES[3] / "state.npz").unlink()
    assert main(["checkpoint", "verify", str(run)]) == 1
    assert "state.npz: is missing" in capsys.readouterr().err


def test_no_checkpoints_are_exit_code_one(tmp_path, capsys):
    assert main(["checkpoint", "verify", str(tmp_path)]) == 1
    assert f"{tmp_path} holds no checkpoints" in capsys.readouterr().err
    assert main(["checkpoint", "list", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("action", ["list", "verify"])
def test_a_folder_that_is_not_there_is_named(action, tmp_path, capsys):
    assert main(["checkpoint", action, str(tmp_path / "none")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{tmp_path / 'none'} is no folder" in err


def test_what_a_run_deletes_meanwhile_is_no_damage(run, monkeypatch, capsys):
    read = fcnn.cli.verifying.read_checkpoint

    def late(path):
        if path.name == NAMES[0]:
            shutil.rmtree(path)
        return read(path)

    monkeypatch.setattr("fcnn.cli.verifying.read_checkpoint", late)
    assert main(["checkpoint", "verify", str(run), "--json"]) == 0
    assert [row["checkpoint"] for row in json.loads(capsys.readouterr().out)] == NAMES[1:]


def test_an_action_has_to_be_named(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["checkpoint"])
    assert caught.value.code == 2
    assert "ACTION" in capsys.readouterr().err
