"""The safetensors format, against the package of that name and PyTorch where they are installed."""

import json
import os

import ml_dtypes
import numpy as np
import pytest

from fcnn.weights import WeightsError, read_safetensors, write_safetensors

from .known import assert_equal, tensors


def file(entries, data=b"", length=None):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(begin, end, shape=None, dtype="U8"):
    shape = [end - begin] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_what_is_written_is_read_exactly_in_its_order(tmp_path):
    path = tmp_path / "x.safetensors"
    write_safetensors(path, tensors(), {"format": "pt", "ü": "…"})
    assert_equal(read_safetensors(path), tensors())


def test_arrays_in_any_order_of_memory_and_bytes_are_written_as_they_are(tmp_path):
    a = np.arange(24.0).reshape(2, 3, 4)
    arrays = {"t": a.T, "f": np.asfortranarray(a), "s": a[:, ::2, ::-1], "big": a.astype(">f8")}
    write_safetensors(tmp_path / "x", arrays)
    for name, array in read_safetensors(tmp_path / "x").items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == np.float64


def test_every_array_is_aligned_for_those_who_map_the_file(tmp_path):
    write_safetensors(tmp_path / "x", tensors())
    data = (tmp_path / "x").read_bytes()
    length = int.from_bytes(data[:8], "little")
    for name, told in json.loads(data[8 : 8 + length]).items():
        assert (8 + length + told["data_offsets"][0]) % tensors()[name].dtype.itemsize == 0


def test_the_package_and_pytorch_read_what_is_written(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    torch_files = pytest.importorskip("safetensors.torch")
    path, expected = tmp_path / "x.safetensors", tensors()
    write_safetensors(path, expected, {"format": "pt"})
    with safetensors.safe_open(path, "pt") as opened:
        assert opened.metadata() == {"format": "pt"}
    found = torch_files.load_file(path)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert tuple(found[name].shape) == array.shape
        assert str(found[name].dtype) == f"torch.{array.dtype.name}"
        again = found[name].reshape(-1).view(dtype=__import__("torch").uint8)
        assert bytes(again.numpy()) == array.tobytes()


def test_what_the_package_writes_is_read(tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    expected = {name: np.array(array, order="C") for name, array in tensors().items()}
    numpy_files.save_file(expected, tmp_path / "x", {"a": "b"})
    found = read_safetensors(tmp_path / "x")
    assert_equal({name: found[name] for name in expected}, expected)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    write_safetensors(path, {"a": np.ones(3)})
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WeightsError, match=r"x\.safetensors: cannot be written: No space"):
        write_safetensors(path, {"a": np.zeros(3)})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_the_file_may_be_read_by_whom_the_umask_allows(tmp_path):
    old = os.umask(0o022)
    try:
        write_safetensors(tmp_path / "x", {})
    finally:
        os.umask(old)
    assert os.stat(tmp_path / "x").st_mode & 0o777 == 0o644
    assert read_safetensors(tmp_path / "x") == {}


@pytest.mark.parametrize(
    ("arrays", "error"),
    [
        ({"a": np.array(["text"])}, WeightsError),
        ({"a": np.array([None])}, WeightsError),
        ({"a": np.ones(2, np.complex128)}, WeightsError),
        ({"a": np.ones(2, ml_dtypes.int4)}, WeightsError),
        ({"__metadata__": np.ones(2)}, WeightsError),
        ({3: np.ones(2)}, TypeError),
    ],
)
def test_what_the_format_cannot_hold_is_refused(arrays, error, tmp_path):
    with pytest.raises(error):
        write_safetensors(tmp_path / "x", arrays)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ("header would have", b""),
        ("header would have", file(b"{}", length=2**60)),
        ("header would have", file(b"{}", length=3)),
        ("no object", file([1, 2])),
        ("key twice", file(b'{"a": 1, "a": 2}')),
        ("one before ends at 2", file({"a": entry(0, 2), "b": entry(1, 3)}, b"123")),
        ("one before ends at 2", file({"a": entry(0, 2), "b": entry(3, 4)}, b"1234")),
        ("one before ends at 0", file({"a": entry(-2, 2)}, b"12")),
        ("3 bytes of numbers", file({"a": entry(0, 2)}, b"123")),
        ("1 bytes of numbers", file({"a": entry(0, 2)}, b"1")),
        ("cannot lie", file({"a": entry(0, 2, [3])}, b"12")),
        ("no whole numbers", file({"a": entry(0, 2, [-2])}, b"12")),
        ("no whole numbers", file({"a": entry(0, 0, [2**62, 0])}, b"")),
        ("at most 32", file({"a": entry(0, 1, [1] * 33)}, b"1")),
        ("unknown", file({"a": entry(0, 2, dtype="O")}, b"12")),
        ("described by", file({"a": {"dtype": "U8", "shape": [2]}}, b"12")),
        ("true and false", file({"a": entry(0, 1, dtype="BOOL")}, b"\2")),
        ("values; 400,000", file(b"[" + b"{}," * 400_000 + b"{}]")),
        ("parts do not fit", file(b"[" * 200_000)),
    ],
)
def test_damaged_files_are_refused_in_words(message, data, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match=rf"x\.safetensors: .*{message}"):
        read_safetensors(tmp_path / "x.safetensors")
