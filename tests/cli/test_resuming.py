import contextlib
import json
import shutil
import warnings

import jax
import numpy as np
import pytest

import fcnn
from fcnn.cli import main
from fcnn.store.checkpoints import checkpoint_steps
from fcnn.store.locks import locked
from fcnn.train import looping
from fcnn.train.interruptions import Asked, Interrupted

BEGIN = ["train", "scans.npz", "--model", "mlp", "--batch-size", "16", "--epochs"]
STEPS = 5  # an epoch: 80 examples


@pytest.fixture(scope="module", autouse=True)
def as_it_is(tmp_path_factory):
    """Programs are compiled once for all tests, and nothing is drawn."""
    folder = tmp_path_factory.mktemp("programs")

    def keep(wanted):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    former = {name: getattr(jax.config, name) for name in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fcnn.cli.keep_programs", keep)
        patch.setattr("fcnn.cli.training.available", lambda module: False)
        yield
    for name, value in former.items():
        jax.config.update(name, value)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with data and a run of two epochs; ``place`` has a copy to work on."""
    folder = tmp_path_factory.mktemp("begun")
    train, _ = fcnn.data.digits()
    np.savez(folder / "scans.npz", x=train.x[:100], y=train.y[:100])
    with contextlib.chdir(folder):
        assert main([*BEGIN, "2", "--out", "run"]) == 0
        assert main([*BEGIN, "4", "--out", "longer"]) == 0
    return folder


@pytest.fixture
def place(begun, tmp_path, monkeypatch):
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def params(run):
    return jax.tree.leaves(fcnn.load(f"{run}/network.fcnn").params)


def report(run):
    with open(f"{run}/report.json") as file:
        found = json.load(file)
    return {**found, "seconds": 0}


def rows(run):
    """history.csv without times."""
    with open(f"{run}/history.csv") as file:
        lines = [line.split(",") for line in file.read().splitlines()]
    kept = [i for i, name in enumerate(lines[0]) if name not in {"seconds", "rate", "waited"}]
    return [[line[i] for i in kept] for line in lines]


def test_a_run_goes_on_with_its_settings_and_more_epochs(place, capsys):
    assert main(["train", "--resume", "--out", "run", "--epochs", "4"]) == 0
    assert "goes on from run/checkpoints/step_00000010" in capsys.readouterr().err
    for one, two in zip(params("run"), params("longer"), strict=True):
        np.testing.assert_array_equal(one, two)
    assert report("run") == report("longer")
    assert rows("run") == rows("longer")
    settings = json.loads((place / "run" / "settings.json").read_text())
    assert settings == json.loads((place / "longer" / "settings.json").read_text())
    assert (settings["epochs"], settings["batch_size"]) == (4, 16)


def test_the_same_settings_may_be_said_again(place):
    before = params("run")
    assert main([*BEGIN, "2", "--resume", "--out", "run", "--seed", "0"]) == 0
    for one, two in zip(params("run"), before, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["digits"], "run was begun with data scans.npz, and cannot go on with digits"),
        (["--model", "lenet5"], "begun with --model mlp, and cannot go on with lenet5"),
        (["--batch-size", "8"], "begun with --batch-size 16, and cannot go on with 8"),
        (["--learning-rate", "0.1"], "--learning-rate 0.001, and cannot go on with 0.1"),
        (["--optimizer", "sgd"], "--optimizer adam, and cannot go on with sgd"),
        (["--augment", "flip"], "--augment none, and cannot go on with flip"),
        (["--seed", "1"], "--seed 0, and cannot go on with 1; choose another folder"),
        (["--size", "8"], "--size None, and cannot go on with (8, 8)"),
        (["--mode", "gray"], "--mode rgb, and cannot go on with gray"),
        (["--on-error", "skip"], "--on-error raise, and cannot go on with skip"),
        (["--epochs", "1"], "begun with --epochs 2, which can become more, and not 1"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_other_settings_are_refused(given, words, place, capsys):
    before = (place / "run" / "settings.json").read_bytes()
    assert main(["train", *given, "--resume", "--out", "run"]) == 1
    assert words in capsys.readouterr().err
    assert (place / "run" / "settings.json").read_bytes() == before
    assert checkpoint_steps(place / "run" / "checkpoints") == [STEPS, 2 * STEPS]


def test_a_folder_that_holds_a_run_is_not_taken_for_another(place, capsys):
    before = (place / "run" / "settings.json").read_bytes()
    assert main([*BEGIN, "3", "--out", "run"]) == 1
    err = capsys.readouterr().err
    assert "run holds a run; go on with it by --resume, or choose another one" in err
    assert (place / "run" / "settings.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--resume"], "--resume goes on with a run: name its folder, --out DIR"),
        (["train", "--resume", "--out", "none"], "none holds no run to go on with: there is no se"),
        (["train", "--resume", "--out", "empty"], "empty holds no run to go on with"),
    ],
)
def test_there_has_to_be_a_run(arguments, message, place, capsys):
    (place / "empty").mkdir()
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert not (place / "none").exists()
    assert list((place / "empty").iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "3",
        lambda text: text.replace('"seed"', '"need"'),
        lambda text: text.replace('"epochs": 2', '"epochs": "2"'),
        lambda text: text.replace('"size": null', '"size": 8'),
        lambda text: text.replace('"size": null', '"size": ["a"]'),
    ],
    ids=["half", "list", "number", "name", "type", "size", "sizes"],
)
def test_damaged_settings_are_named(change, place, capsys):
    file = place / "run" / "settings.json"
    file.write_text(change(file.read_text()))
    assert main(["train", "--resume", "--out", "run"]) == 1
    assert "run/settings.json: damaged, or not the settings of a run: " in capsys.readouterr().err


def damage(checkpoint):
    file = checkpoint / "state.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def resumed(*arguments):
    """The command with warnings as users see them."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return main(["train", "--resume", "--out", "run", *arguments])


def test_a_damaged_checkpoint_is_passed_over_and_that_is_one_readable_line(place, capsys):
    damage(place / "run" / "checkpoints" / "step_00000010")
    assert resumed("--epochs", "4") == 0
    err = capsys.readouterr().err
    [line] = [line for line in err.splitlines() if "passed over" in line]
    assert line.startswith(
        "warning: passed over a damaged checkpoint: run/checkpoints/step_00000010/state.npz: "
    )
    assert ".py" not in err
    assert "UserWarning" not in err
    for one, two in zip(params("run"), params("longer"), strict=True):
        np.testing.assert_array_equal(one, two)
    assert report("run") == report("longer")


def test_a_run_without_an_intact_checkpoint_ends_and_leaves_all_as_it_is(place, capsys):
    for step in (STEPS, 2 * STEPS):
        damage(place / "run" / "checkpoints" / f"step_{step:08}")
    before = {file: file.read_bytes() for file in place.rglob("*") if file.is_file()}
    assert resumed("--epochs", "4") == 1
    err = capsys.readouterr().err
    assert "fcnn train: run/checkpoints: none of its 2 checkpoints is intact" in err
    assert "Traceback" not in err
    before = {file: content for file, content in before.items() if file.name[0] != "."}
    settings = place / "run" / "settings.json"
    for file, content in before.items():
        assert file == settings or file.read_bytes() == content


def test_a_run_that_never_came_to_a_checkpoint_begins_anew(place):
    shutil.rmtree(place / "run" / "checkpoints")
    assert main(["train", "--resume", "--out", "run", "--epochs", "4"]) == 0
    assert report("run") == report("longer")


def test_two_commands_in_one_folder_are_one_too_many(place, capsys):
    """The second one touches nothing, even before the first one's first checkpoint."""
    before = (place / "run" / "settings.json").read_bytes()
    shutil.rmtree(place / "run" / "checkpoints")
    with locked("run"):
        for more in (["--resume", "--epochs", "9"], [*BEGIN[1:], "9"]):
            assert main(["train", *more, "--out", "run"]) == 1
            assert "run is in use by process" in capsys.readouterr().err
            assert (place / "run" / "settings.json").read_bytes() == before
            assert (place / "run" / ".lock").exists()


@pytest.mark.parametrize("steps", [0, 1, 3, STEPS, STEPS + 2])
def test_an_interrupted_run_says_how_to_go_on_and_does(steps, place, monkeypatch, capsys):
    """From before the first step on, and in the first epoch, too."""
    looks = iter([False] * steps + [True] * 9)

    def check(asked):
        if next(looks):
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(looping, "SECONDS", 0)  # a step a call
        patch.setattr(Asked, "check", check)
        assert main([*BEGIN, "4", "--out", "new"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert "to go on: fcnn train --resume --out new" in err
    assert not (place / "new" / "report.json").exists()
    assert main(["evaluate", "new", "scans.npz"]) == 0
    assert main(["train", "--resume", "--out", "new"]) == 0
    assert report("new") == report("longer")
    assert rows("new") == rows("longer")
    for one, two in zip(params("new"), params("longer"), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_failure_before_the_first_checkpoint_leaves_no_folder(place, monkeypatch):
    def fails(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("fcnn.cli.training.train.fit", fails)
    assert main([*BEGIN, "2", "--out", "new"]) == 130
    assert not (place / "new").exists()


def test_a_checkpoint_that_cannot_be_written_is_a_warning(place, monkeypatch, capsys):
    def full(folder, step, *content):
        raise fcnn.store.CheckpointError(f"{folder}/step_{step:08}: cannot be written: disk full")

    monkeypatch.setattr("fcnn.train.writing.write_checkpoint", full)
    assert resumed("--epochs", "4") == 0
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if line.startswith("warning: the run goes on, although run/")]
    assert len(said) == 2
    assert report("run") == report("longer")
