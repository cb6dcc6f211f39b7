import json

import numpy as np
import pytest

from fcnn.cli import main

image = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setattr("fcnn.cli.keep_programs", lambda wanted: None)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(3):
            pixels = rng.integers(0, 256, (6, 6, 3), np.uint8)
            image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
    return tmp_path


def test_a_good_folder_exits_with_0(folder, capsys):
    assert main(["data", "check", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{folder}: 6 pictures in 2 classes\n")
    assert out.endswith("no problems, no warnings\n")
    assert err == ""


def test_a_warning_fails_nothing(folder, capsys):
    (folder / "c").mkdir()
    assert main(["data", "check", str(folder)]) == 0
    assert "1 folder holds no pictures:" in capsys.readouterr().out


def test_a_problem_exits_with_1_and_is_listed(folder, capsys):
    for i in range(25):
        (folder / "a" / f"bad{i:02d}.png").write_bytes(b"")
    assert main(["data", "check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "25 of the 31 files cannot be read:" in out
    assert "and 5 more" in out
    assert main(["data", "check", str(folder), "--all"]) == 1
    out = capsys.readouterr().out
    assert "a/bad24.png  the file is empty" in out
    assert "more" not in out


def test_one_picture_in_two_classes_exits_with_1(folder, capsys):
    (folder / "b" / "same.png").write_bytes((folder / "a" / "0.png").read_bytes())
    assert main(["data", "check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "1 picture lies in more than one class:\n    a/0.png  = b/same.png" in out


def test_json_has_everything(folder, capsys):
    (folder / "a" / "bad.png").write_bytes(b"")
    assert main(["data", "check", str(folder), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert found["counts"] == {"": {"a": 4, "b": 3}}
    assert found["sizes"] == [{"size": [6, 6], "count": 6}]
    assert [problem["kind"] for problem in found["problems"]] == ["unreadable"]
    assert found["problems"][0]["files"] == [{"name": "a/bad.png", "detail": "the file is empty"}]


def test_a_missing_folder_is_said_and_wrong_usage_is_2(tmp_path, capsys):
    assert main(["data", "check", str(tmp_path / "none")]) == 1
    assert "none does not exist" in capsys.readouterr().err
    for words in (["data"], ["data", "check"], ["data", "look", str(tmp_path)]):
        with pytest.raises(SystemExit, match="2"):
            main(words)
