"""``fcnn explain``: pictures and maps for every file, and clear words where there can be none."""

import inspect
import json

import jax
import numpy as np
import pytest

import fcnn
from fcnn import conv, dense, global_avg_pool, relu, serial
from fcnn.cli import explaining, main
from fcnn.core.network import start_network

image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setattr("fcnn.cli.keep_programs", lambda wanted: None)


def saved(folder, *, channels=1, classes=("cat", "dog", "$cow_"), **fields):
    """A file with an untrained network for pictures of 8 x 8."""
    model = serial(conv(4, 3), relu, conv(6, 3), relu, global_avg_pool, dense(3))
    like = jax.ShapeDtypeStruct((1, 8, 8, channels), "float32")
    fields = {
        "classes": classes,
        "input": jax.ShapeDtypeStruct(like.shape[1:], "float32"),
        **fields,
    }
    network = start_network(model, jax.random.key(0), like, **fields)
    path = folder / "network.fcnn"
    fcnn.save(path, network)
    return str(path), network


def pictures(folder, count, shape=(20, 30, 3)):
    random = np.random.default_rng(0)
    files = []
    for i in range(count):
        files.append(str(folder / f"photo {i}.png"))
        image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(files[-1])
    return files


def test_every_file_has_a_picture_and_the_map_that_python_gives(tmp_path, capsys):
    path, network = saved(tmp_path, channels=3)
    files = pictures(tmp_path, 2)
    out = tmp_path / "new" / "folder"
    assert main(["explain", path, *files, "--out", str(out), "--target", "dog"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    x = np.stack([fcnn.data.picture(file, size=(8, 8)) for file in files])
    maps = fcnn.explain.grad_cam(network, x, 1)
    said = fcnn.predict(network, x)
    for i, line in enumerate((first, second)):
        png, npy = (out / f"photo {i}-grad_cam.{end}" for end in ("png", "npy"))
        np.testing.assert_allclose(np.load(npy), maps[i], atol=1e-6)
        with image.open(png) as drawn:
            assert drawn.size[0] > 300
        likeliest = network.classes[said[i].argmax()]
        about = f"{likeliest} {said[i].max():.1%}; grad_cam for dog in {png} and {npy}"
        assert line == f"{files[i]}: {about}"


def test_by_default_the_predicted_class_is_explained_in_this_folder(tmp_path, capsys, monkeypatch):
    path, network = saved(tmp_path)
    x = np.random.default_rng(0).random([3, 8, 8], np.float32)
    np.save(tmp_path / "digits.npy", x)
    monkeypatch.chdir(tmp_path)
    assert main(["explain", path, "digits.npy", "--method", "saliency", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    expected = fcnn.explain.saliency(network, x[..., None])
    said = fcnn.predict(network, x[..., None])
    for i, row in enumerate(rows):
        assert row["file"] == f"digits.npy[{i}]"
        assert row["map"] == f"digits-{i}-saliency.npy"
        assert row["picture"] == f"digits-{i}-saliency.png"
        assert row["class"] == row["target"] == network.classes[said[i].argmax()]
        assert list(row["probabilities"].values()) == pytest.approx(said[i].tolist(), abs=1e-6)
        np.testing.assert_allclose(np.load(row["map"]), expected[i], atol=1e-6)


def test_one_picture_can_have_the_name_of_a_file_and_a_layer(tmp_path, capsys):
    path, network = saved(tmp_path)
    (file,) = pictures(tmp_path, 1)
    out = tmp_path / "why.png"
    assert main(["explain", path, file, "--path", "conv1", "--out", str(out)]) == 0
    assert out.stat().st_size > 3000
    x = fcnn.data.picture(file, size=(8, 8), channels=1)[None]
    expected = fcnn.explain.grad_cam(network, x, path="conv1")[0]
    np.testing.assert_allclose(np.load(tmp_path / "why.npy"), expected, atol=1e-6)


def test_a_network_without_names_takes_numbers(tmp_path, capsys):
    path, _ = saved(tmp_path, classes=None)
    (file,) = pictures(tmp_path, 1)
    assert main(["explain", path, file, "--target", "2", "--out", str(tmp_path)]) == 0
    assert "grad_cam for 2 in" in capsys.readouterr().out


def test_inputs_that_are_no_pictures_have_maps_only(tmp_path, capsys):
    path, _ = saved(tmp_path, channels=2)
    x = np.random.default_rng(0).random([1, 8, 8, 2], np.float32)
    np.save(tmp_path / "both.npy", x)
    assert main(["explain", path, str(tmp_path / "both.npy"), "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "inputs [8, 8, 2] are no pictures: only their maps are written" in err
    assert out.endswith(f"in {tmp_path / 'both-grad_cam.npy'}\n")
    assert not (tmp_path / "both-grad_cam.png").exists()


@pytest.mark.parametrize(
    "method",
    [
        name if name in ("occlusion", "smooth_grad") else pytest.param(name, marks=pytest.mark.slow)
        for name in explaining.METHODS
    ],
)
def test_every_method_explains(method, tmp_path, capsys):
    path, _ = saved(tmp_path)
    (file,) = pictures(tmp_path, 1)
    assert main(["explain", path, file, "--method", method, "--out", str(tmp_path)]) == 0
    found = np.load(tmp_path / f"photo 0-{method}.npy")
    assert found.shape == (8, 8)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "cow"], "no class 'cow'; there are cat, dog, $cow_"),
        (["--path", "conv9"], "'conv9' is not the name of a feature map; there are conv1, relu1"),
        (
            ["--method", "saliency", "--path", "conv1"],
            "saliency looks at no layer; --path goes with",
        ),
        (["twice", "--out", "all.png"], "2 examples do not fit into all.png; give --out a folder"),
        (["again"], "two files would be explained in photo 0-grad_cam.png; rename one of them"),
        (["broken"], "cannot be read as a picture"),
        (["empty"], "there is no example in it"),
    ],
)
def test_what_cannot_be_explained_is_said(arguments, message, tmp_path, capsys):
    path, _ = saved(tmp_path)
    (file,) = pictures(tmp_path, 1)
    other = tmp_path / "other"
    other.mkdir()
    (other / "broken.png").write_bytes(b"no picture")
    np.save(other / "empty.npy", np.zeros([0, 8, 8, 1], np.float32))
    more = {
        "twice": str(tmp_path / "photo 1.png"),
        "again": pictures(other, 1)[0],
        "broken": str(other / "broken.png"),
        "empty": str(other / "empty.npy"),
    }
    pictures(tmp_path, 2)
    given = [more.get(argument, argument) for argument in arguments]
    assert main(["explain", path, file, *given]) == 1
    assert message in capsys.readouterr().err


def test_every_map_of_an_input_is_a_method():
    takes_inputs = {
        name
        for name, function in vars(fcnn.explain).items()
        if inspect.isfunction(function)
        and list(inspect.signature(function).parameters)[:3] == ["network", "x", "target"]
    }
    assert set(explaining.METHODS) == takes_inputs


def test_an_unknown_method_is_wrong_usage(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["explain", "run", "file.png", "--method", "magic"])
    assert stopped.value.code == 2
    assert "saliency" in capsys.readouterr().err
