import contextlib
import json
import shutil
import warnings

import jax
import numpy as np
import pytest

import fcnn
from fcnn import batch_norm, dense, flatten, relu, rescale, serial
from fcnn.cli import main

SOON = ["--batch-size", "16", "--learning-rate", "0.01"]


@pytest.fixture(scope="module", autouse=True)
def as_it_is(tmp_path_factory):
    """Programs are compiled once for all tests, and nothing is drawn."""
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("programs")),
        "jax_persistent_cache_min_compile_time_secs": 0,
    }
    former = {name: getattr(jax.config, name) for name in options}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fcnn.cli.keep_programs", lambda wanted: None)
        patch.setattr("fcnn.cli.training.available", lambda module: False)
        for name, value in options.items():
            jax.config.update(name, value)
        yield
    for name, value in former.items():
        jax.config.update(name, value)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A network for the digits 0 to 4, as a file, and data: digits 5 to 9, and others."""
    folder = tmp_path_factory.mktemp("prepared")
    train, _ = fcnn.data.digits()
    few = {
        name: np.flatnonzero((train.y >= low) & (train.y < low + 5))[:90]
        for name, low in (("low", 0), ("high", 5))
    }
    low, high = (train.take(rows) for rows in few.values())
    body = serial(flatten, dense(4), batch_norm(), relu)
    model = serial(body=body, head=dense(5))
    network, _ = fcnn.fit(model, (low.x, low.y), epochs=2, batch_size=16, progress=False)
    names = np.array(["five", "six", "seven", "eight", "nine"])
    with contextlib.chdir(folder):
        fcnn.save("low.fcnn", network)
        np.savez("high.npz", x=high.x, y=high.y - 5)
        np.savez("named.npz", x=high.x, y=names[high.y - 5])
        np.savez("two.npz", x=high.x, y=high.y % 2)
        np.savez("bytes.npz", x=(high.x * 255).astype(np.uint8), y=high.y - 5)
        np.savez("wide.npz", x=np.repeat(high.x, 3, -1), y=high.y - 5)
    return folder


@pytest.fixture
def place(prepared, tmp_path, monkeypatch):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def values(run):
    network = fcnn.load(f"{run}/network.fcnn")
    return {**fcnn.trees.flat(network.params), **fcnn.trees.flat(network.state)}


def command(*arguments):
    """The command with warnings as users see them."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return main(["train", *arguments])


def same(a, b):
    return {path: np.array_equal(a[path], b[path]) for path in a}


def test_what_is_frozen_keeps_every_bit_and_the_rest_learns(place, capsys):
    arguments = ["two.npz", "--from", "low.fcnn", "--freeze", "body/.*", "--epochs", "2", *SOON]
    assert command(*arguments, "--out", "run") == 0
    err = capsys.readouterr().err
    assert "low.fcnn has 5 outputs (0, 1, 2, 3, 4), and the data 2 classes: its head is rep" in err
    assert "10 parameters to train, 268 frozen" in err
    assert "warning" not in err
    before = fcnn.load("low.fcnn")
    before = {**fcnn.trees.flat(before.params), **fcnn.trees.flat(before.state)}
    after = values("run")
    assert after["head/kernel"].shape == (4, 2)
    assert all(fine for path, fine in same(before, after).items() if not path.startswith("head"))
    settings = json.loads((place / "run" / "settings.json").read_text())
    assert (settings["from"], settings["freeze"], settings["model"]) == (
        "low.fcnn",
        "body/.*",
        None,
    )
    report = json.loads((place / "run" / "report.json").read_text())
    assert report["from"] == "low.fcnn"


def test_a_head_for_as_many_classes_stays(place, capsys):
    assert command("high.npz", "--from", "low.fcnn", "--epochs", "1", *SOON) == 0
    err = capsys.readouterr().err
    assert "head" not in err
    assert "low.fcnn on high.npz, into runs/high-low-1" in err


def test_other_names_get_a_new_head(place, capsys):
    assert command("named.npz", "--from", "low.fcnn", "--epochs", "1", *SOON, "--out", "run") == 0
    assert (
        "the data 5 classes (eight, five, nine, seven, six): its head is" in capsys.readouterr().err
    )
    assert fcnn.load("run/network.fcnn").classes == ("eight", "five", "nine", "seven", "six")


def test_a_run_from_a_network_goes_on_bit_for_bit(place, capsys):
    begin = ["two.npz", "--from", "low.fcnn", "--freeze", "body/.*", *SOON]
    assert command(*begin, "--epochs", "1", "--out", "run") == 0
    assert command(*begin, "--epochs", "3", "--out", "longer") == 0
    capsys.readouterr()
    assert command("--resume", "--out", "run", "--epochs", "3") == 0
    err = capsys.readouterr().err
    assert "goes on from run/checkpoints/step_" in err
    assert "warning" not in err
    assert all(same(values("run"), values("longer")).values())
    assert command("--resume", "--out", "run", "--freeze", "head/.*") == 1
    assert "--freeze body/.*, and cannot go on with head/.*" in capsys.readouterr().err


def test_the_network_of_a_run_is_one_as_well(place):
    assert command("two.npz", "--from", "low.fcnn", "--epochs", "1", *SOON, "--out", "first") == 0
    for source in ("first", "first/network.fcnn"):
        assert command("two.npz", "--from", source, "--epochs", "1", *SOON) == 0
    assert {path.name for path in (place / "runs").iterdir()} == {"two-first-1", "two-first-2"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["two.npz", "--from", "none.fcnn"], "none.fcnn: No such file or directory"),
        (["two.npz", "--from", "two.npz"], "two.npz: damaged, or no network of fcnn"),
        (["two.npz", "--freeze", "body/.*"], "is of a network that was trained: name it, --from F"),
        (["two.npz", "--from", "low.fcnn", "--model", "mlp"], "its own model: leave out --model"),
        (
            ["two.npz", "--from", "low.fcnn", "--freeze", "bdy"],
            "their paths are body/batch_norm1/b",
        ),
        (["two.npz", "--from", "low.fcnn", "--freeze", ".*"], "which leaves none to train"),
        (["bytes.npz", "--from", "low.fcnn"], "values up to 1; the data holds uint8"),
        (["wide.npz", "--from", "low.fcnn"], "made for inputs [8, 8, 1], got [8, 8, 3]"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_go_together_is_said_before_a_folder_is_made(place, arguments, words, capsys):
    assert command(*arguments, *SOON, "--epochs", "1", "--out", "new") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert not (place / "new").exists()


def test_a_pattern_that_is_none_is_wrong_usage(place, capsys):
    with pytest.raises(SystemExit) as ended:
        command("two.npz", "--from", "low.fcnn", "--freeze", "(")
    assert ended.value.code == 2
    assert "'(' is no regular expression" in capsys.readouterr().err


def test_pictures_are_read_as_the_network_takes_them(place, capsys):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for number in range(24):
        file = (
            place
            / "photos"
            / ("train", "test")[number % 4 == 0]
            / "ab"[number % 2]
            / f"{number}.png"
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(rng.integers(0, 255, (13, 11, 3), np.uint8)).save(file)
    model = serial(rescale(1 / 255), flatten, dense(3))
    x = np.zeros((1, 8, 8, 1), np.uint8)
    params, state = model.init(jax.random.key(0), x)
    fcnn.save("gray.fcnn", fcnn.Network(model, params, state, input=fcnn.spec(x[0])))
    assert command("photos", "--from", "gray.fcnn", "--epochs", "1", *SOON, "--out", "run") == 0
    settings = json.loads((place / "run" / "settings.json").read_text())
    assert (settings["size"], settings["mode"]) == ([8, 8], "gray")
    assert fcnn.load("run/network.fcnn").input.shape == (8, 8, 1)
