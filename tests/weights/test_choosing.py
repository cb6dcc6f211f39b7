"""Which reader a file gets, by its content alone; and ``.npz``."""

import io
import zipfile

import numpy as np
import pytest

from fcnn.weights import WeightsError, read_weights, reading, write_safetensors

from .known import FILES, assert_equal, tensors


@pytest.mark.parametrize("name", ["today.pt", "legacy.pth", "protocol4.pt", "legacy.tar"])
def test_files_of_pytorch_are_known_by_their_content(name, tmp_path):
    (tmp_path / "x.bin").write_bytes((FILES / name).read_bytes())
    assert_equal(read_weights(tmp_path / "x.bin"), tensors())


@pytest.mark.parametrize("name", ["keras.weights.h5", "whole.keras", "keras2.h5"])
def test_files_of_keras_are_known_by_their_content(name, tmp_path):
    pytest.importorskip("h5py")
    (tmp_path / "x.bin").write_bytes((FILES / name).read_bytes())
    assert len(read_weights(tmp_path / "x.bin")) == 8


def test_safetensors_and_tensorflow_js_are_known_by_their_content(tmp_path):
    write_safetensors(tmp_path / "x.bin", tensors())
    assert_equal(read_weights(tmp_path / "x.bin"), tensors())
    (tmp_path / "shard").write_bytes(b"\7")
    manifest = '[{"weights":[{"name":"a","shape":[1],"dtype":"uint8"}],"paths":["shard"]}]'
    (tmp_path / "weights_manifest.json").write_text(" \n" + manifest)
    for path in (tmp_path, tmp_path / "weights_manifest.json"):
        assert read_weights(path)["a"] == 7


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_files_are_read_exactly(save, tmp_path):
    plain = {n: a for n, a in tensors().items() if a.dtype.isbuiltin == 1}
    save(tmp_path / "x.npz", **plain, big=np.arange(3.0).astype(">f8"))
    found = read_weights(tmp_path / "x.npz")
    assert_equal(found, {**plain, "big": np.arange(3.0)})


def test_arrays_much_larger_than_the_file_are_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(10_000))
    assert read_weights(tmp_path / "x.npz")["a"].shape == (10_000,)
    monkeypatch.setattr(reading, "SPARE", 20_000)
    with pytest.raises(WeightsError, match=r"x\.npz: its arrays would have 80,128 bytes"):
        read_weights(tmp_path / "x.npz")


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def zipped(data, name="a.npy", method=zipfile.ZIP_DEFLATED, times=1):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for number in range(times):
            archive.writestr(name if times == 1 else f"{number}.npy", data)
    return file.getvalue()


NPY = b"\x93NUMPY\1\0v\0{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }"


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ("as no file of", b"text of some length"),
        ("as no file of", b""),
        ("as no file of", b"\x80\x04]r\x00\x00\x00\x10."),
        ("a zip of", zipped(b"x", "readme.txt")),
        ("which is no number", npz(a=np.array([print], object))),
        ("which is no number", npz(a=np.array(["text"]))),
        ("which is no number", npz(a=np.zeros(2, "i4,f4"))),
        ("claims 8,000,000,000 bytes", zipped((NPY % b"1000000000").ljust(127) + b"\n")),
        ("two members", zipped(b"x" * 99, times=2, method=0).replace(b"1.npy", b"0.npy")),
        ("its zip is damaged", b"PK\3\4" + bytes(99)),
    ],
)
def test_what_is_no_file_of_weights_is_refused_in_words(message, data, tmp_path):
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(WeightsError, match=rf"x\.npz: .*{message}"):
        read_weights(tmp_path / "x.npz")
