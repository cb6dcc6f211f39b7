"""Files of Keras, against what they hold, and against Keras where it is installed."""

import zipfile

import numpy as np
import pytest

from fcnn.weights import WeightsError, read_keras

from .known import FILES, assert_equal, numbers

h5py = pytest.importorskip("h5py")

SHAPES = {
    "first": {"kernel": (3, 3, 1, 2), "bias": (2,)},
    "norm": dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (2,)),
    "a_later_one": {"kernel": (1, 1, 2, 1), "bias": (1,)},
}


def expected(name):
    """The arrays of the files, called as ``name(layer, weight, number of the weight)`` says."""
    flat = [
        (name(layer, weight, number), shape)
        for layer, weights in SHAPES.items()
        for number, (weight, shape) in enumerate(weights.items())
    ]
    return {name: numbers(shape, first=i) for i, (name, shape) in enumerate(flat)}


@pytest.mark.parametrize("file", ["keras.weights.h5", "whole.keras"])
def test_files_of_keras_3_give_their_arrays_by_the_names_of_the_layers(file):
    assert_equal(
        read_keras(FILES / file), expected(lambda layer, _, number: f"layers/{layer}/vars/{number}")
    )


def test_files_of_keras_2_give_their_arrays_by_the_names_of_the_weights():
    assert_equal(
        read_keras(FILES / "keras2.h5"),
        expected(lambda layer, weight, _: f"{layer}/sequential/{layer}/{weight}"),
    )


def test_a_file_without_names_of_layers_gives_its_own_paths(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for layer in ("conv2d", "conv2d_1"):
            for number in (10, 9):
                file[f"layers/{layer}/vars/{number}"] = np.full(2, number)
    found = read_keras(tmp_path / "x.h5")
    assert list(found) == [f"layers/{x}/vars/{n}" for x in ("conv2d", "conv2d_1") for n in (9, 10)]
    assert all((array == int(name.split("/")[-1])).all() for name, array in found.items())


def test_long_lists_of_names_and_bfloat16_and_packed_arrays_are_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"b"], [b"a"]
        for layer in "ab":
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/kernel:0".encode()]
            group.create_dataset(f"{layer}/kernel:0", data=np.ones((8, 8)), compression="gzip")
    assert list(read_keras(tmp_path / "x.h5")) == ["b/b/kernel:0", "a/a/kernel:0"]
    with h5py.File(tmp_path / "y.h5", "w") as file:
        raw = np.array([0x3F80, 0xC000], "u2").view("V2")
        file.create_dataset("layers/d/vars/0", data=raw).attrs["dtype"] = "bfloat16"
    found = read_keras(tmp_path / "y.h5")["layers/d/vars/0"]
    assert found.dtype.name == "bfloat16"
    np.testing.assert_array_equal(found.astype("f4"), [1, -2])


def link(kind):
    def write(file, folder):
        file["layers/d/vars/0"] = kind

    return write


def outside(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["a"] = np.ones(3)
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(folder / "other.h5", "a", (3,))
    file.create_virtual_dataset("layers/d/vars/0", layout)


def elsewhere(file, folder):
    (folder / "raw").write_bytes(bytes(24))
    parts = [(str(folder / "raw"), 0, 24)]
    file.create_dataset("layers/d/vars/0", (3,), "f8", external=parts)


def bomb(file, folder):
    file.create_dataset("layers/d/vars/0", (10**9,), "f8", chunks=(10**4,), compression="gzip")


def large_chunk(file, folder):
    file.create_dataset("layers/d/vars/0", (2,), "f4", chunks=(10**9,), maxshape=(None,))


def circle(file, folder):
    file["layers/d/vars/0"] = np.ones(2)
    file["layers/d/again"] = file["layers"]


def texts(file, folder):
    file["layers/d/vars/0"] = [b"a", b"b"]


def nothing(file, folder):
    file["elsewhere"] = np.ones(2)


@pytest.mark.parametrize(
    ("message", "write"),
    [
        ("link", link(h5py.ExternalLink("/etc/passwd", "/"))),
        ("link", link(h5py.SoftLink("/layers"))),
        ("other files", outside),
        ("other files", elsewhere),
        ("8,000,000,000 bytes", bomb),
        ("4,000,000,000 bytes", large_chunk),
        ("40 deep", circle),
        ("no number", texts),
        ("no variables", nothing),
    ],
)
def test_links_bombs_and_circles_are_refused(message, write, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        write(file, tmp_path)
    with pytest.raises(WeightsError, match=rf"x\.h5: .*{message}"):
        read_keras(tmp_path / "x.h5")


def test_another_zip_and_another_file_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(WeightsError, match=r"x\.keras: .*without model\.weights\.h5"):
        read_keras(tmp_path / "x.keras")
    (tmp_path / "y.h5").write_bytes(b"text")
    with pytest.raises(WeightsError, match=r"y\.h5: "):
        read_keras(tmp_path / "y.h5")


def test_without_h5py_the_error_says_which_extra_brings_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ImportError, match=r"fcnn\[keras\]"):
        read_keras(FILES / "keras.weights.h5")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50"])
def test_a_network_of_keras_applications_is_read_whole_and_in_order(name, tmp_path):
    keras = pytest.importorskip("keras")
    model = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=10)
    for path in (tmp_path / "x.weights.h5", tmp_path / "x.keras", tmp_path / "x.h5"):
        (model.save_weights if "weights" in path.name else model.save)(path)
        found = list(read_keras(path).values())
        assert len(found) == len(model.weights)
        for array, weight in zip(found, model.weights, strict=True):
            np.testing.assert_array_equal(array, weight.numpy())
