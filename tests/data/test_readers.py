"""Readers: what is on disk is what comes out, and a damaged file is named."""

import gzip
import hashlib
import io
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fcnn.data import digits, mnist, npy, npz
from fcnn.data import idx as idx_pair

MNIST = Path(os.environ.get("FCNN_DATA", Path(__file__).parents[3] / "shared" / "data")) / "mnist"
MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}


def idx(values):
    values = np.asarray(values, np.uint8)
    return (
        struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape) + values.tobytes()
    )


@pytest.fixture
def content():
    """The four files of a small set: 6 and 3 pictures."""
    numbers = np.random.Generator(np.random.Philox(0))
    return {
        "train-images-idx3-ubyte": idx(numbers.integers(0, 256, (6, 28, 28))),
        "train-labels-idx1-ubyte": idx([5, 0, 4, 1, 9, 2]),
        "t10k-images-idx3-ubyte": idx(numbers.integers(0, 256, (3, 28, 28))),
        "t10k-labels-idx1-ubyte": idx([7, 2, 1]),
    }


def write(folder, content, *, zipped=False, dotted=False):
    for name, data in content.items():
        name = name.replace("-idx", ".idx") if dotted else name
        path = folder / (name + ".gz" * zipped)
        path.write_bytes(gzip.compress(data) if zipped else data)
    return folder


def test_digits_are_those_of_scikit_learn():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    train, test = digits()
    x, y = np.concatenate([train.x, test.x]), np.concatenate([train.y, test.y])
    source = load_digits()
    rows = {
        (image.tobytes(), int(label))
        for image, label in zip(source.images, source.target, strict=True)
    }
    found = {
        ((16 * image[..., 0]).astype(np.float64).tobytes(), int(label))
        for image, label in zip(x, y, strict=True)
    }
    assert len(x) == len(source.target) == 1797
    assert found == rows


def test_digits_are_split_the_same_way_every_time():
    train, test = digits()
    assert (train.x.shape, test.x.shape) == ((1438, 8, 8, 1), (359, 8, 8, 1))
    assert (train.x.dtype, train.y.dtype) == (np.float32, np.int32)
    assert (train.x.min(), train.x.max()) == (0, 1)
    assert train.classes == test.classes == tuple("0123456789")
    assert (train.name, test.name) == ("digits train", "digits test")
    assert np.bincount(test.y).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    assert test.y[:10].tolist() == [6, 4, 7, 8, 0, 5, 6, 0, 1, 2]


def test_data_needs_neither_jax_nor_the_digits_to_import():
    code = (
        "import sys, types; package = types.ModuleType('fcnn'); package.__path__ = [sys.argv[1]];"
        "sys.modules['fcnn'] = package; import fcnn.data; print('jax' in sys.modules)"
    )
    package = Path(sys.modules["fcnn"].__file__).parent
    command = [sys.executable, "-c", code, str(package)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "False\n"


@pytest.mark.skipif(not MNIST.is_dir(), reason=f"MNIST is not in {MNIST}; FCNN_DATA names another")
def test_the_real_mnist_is_read():
    for name, digest in MD5.items():
        assert hashlib.md5((MNIST / name).read_bytes(), usedforsecurity=False).hexdigest() == digest
    train, test = mnist(MNIST)
    assert (train.x.shape, test.x.shape) == ((60_000, 28, 28, 1), (10_000, 28, 28, 1))
    assert (train.x.dtype, train.y.dtype) == (np.float32, np.int32)
    assert round(float(train.x.mean(dtype=np.float64)), 4) == 0.1307
    assert round(float(train.x.std(dtype=np.float64)), 4) == 0.3081
    assert train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(test.y).tolist() == [
        *(980, 1135, 1032, 1010, 982),
        *(892, 958, 1028, 974, 1009),
    ]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_mnist_files_are_found_by_their_names(tmp_path, content, zipped, dotted):
    train, test = mnist(str(write(tmp_path, content, zipped=zipped, dotted=dotted)))
    raw = np.frombuffer(content["train-images-idx3-ubyte"][16:], np.uint8).reshape(6, 28, 28, 1)
    np.testing.assert_array_equal(train.x, raw.astype(np.float32) / 255)
    assert train.x.max() <= 1
    assert (train.y.tolist(), test.y.tolist()) == ([5, 0, 4, 1, 9, 2], [7, 2, 1])
    assert (train.name, test.name, len(test.classes)) == ("mnist train", "mnist test", 10)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("train-images-idx3-ubyte", lambda d: d[:-1], r"ends after 4,703 of 4,704 values"),
        ("train-images-idx3-ubyte", lambda d: d + b"\0", "goes on after its 4,704 values"),
        ("train-images-idx3-ubyte", lambda d: d[:9], "ends within its header, after 9 bytes"),
        ("train-images-idx3-ubyte", lambda d: b"", "after 0 bytes"),
        ("train-images-idx3-ubyte", lambda d: b"\0\0\x0d\x03" + d[4:], "begins with 0x00000d03"),
        (
            "train-images-idx3-ubyte",
            lambda d: d[:4] + b"\xff" * 12 + d[16:],
            "of 79,228,162",
        ),
        (
            "t10k-images-idx3-ubyte",
            lambda d: idx(np.zeros((3, 8, 8))),
            "8 x 8, in the training part",
        ),
        ("t10k-labels-idx1-ubyte", lambda d: idx([1, 2]), "has 3 pictures, .* has 2 labels"),
        ("t10k-labels-idx1-ubyte", lambda d: idx(np.zeros((3, 28, 28))), "begins with 0x00000803"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_damaged_idx_file_is_named(tmp_path, content, name, change, words, zipped):
    write(tmp_path, {**content, name: change(content[name])}, zipped=zipped)
    with pytest.raises(ValueError, match=words) as caught:
        mnist(tmp_path)
    assert name in str(caught.value)


def test_sets_in_the_form_of_mnist_may_have_other_sizes_and_classes(tmp_path, content):
    content["train-images-idx3-ubyte"] = idx(np.full((6, 5, 4), 51))
    content["t10k-images-idx3-ubyte"] = idx(np.zeros((3, 5, 4)))
    content["t10k-labels-idx1-ubyte"] = idx([7, 26, 1])
    train, test = mnist(write(tmp_path, content))
    assert (train.x.shape, test.x.shape) == ((6, 5, 4, 1), (3, 5, 4, 1))
    assert train.classes == test.classes == tuple(map(str, range(27)))
    one = idx_pair(tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte")
    np.testing.assert_array_equal(one.x, np.full((6, 5, 4, 1), np.float32(0.2)))
    assert (one.y.tolist(), len(one.classes)) == ([5, 0, 4, 1, 9, 2], 10)
    with pytest.raises(ValueError, match=r"has 6 pictures, .* has 3 labels"):
        idx_pair(tmp_path / "train-images-idx3-ubyte", tmp_path / "t10k-labels-idx1-ubyte")


def test_two_npy_files_are_mapped_and_not_read(tmp_path):
    x = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.array(["b", "a", "b", "b"]))
    found = npy(tmp_path / "x.npy", tmp_path / "y.npy")
    np.testing.assert_array_equal(found.x, x)
    assert (found.x.flags.owndata, found.x.flags.writeable) == (False, False)
    assert (found.y.tolist(), found.classes, found.name) == ([1, 0, 1, 1], ("a", "b"), "x")
    for wrong in (b"no array", (tmp_path / "x.npy").read_bytes()[:-1], b""):
        (tmp_path / "w.npy").write_bytes(wrong)
        with pytest.raises(ValueError, match=r"w\.npy is no \.npy of numbers"):
            npy(tmp_path / "w.npy", tmp_path / "y.npy")
    np.save(tmp_path / "o.npy", np.array([None]))
    with pytest.raises(ValueError, match=r"o\.npy is no \.npy of numbers"):
        npy(tmp_path / "o.npy", tmp_path / "y.npy")


@pytest.mark.parametrize("kept", [3, 12, 40, -1, -5, -9])
def test_a_truncated_gzip_is_named(tmp_path, content, kept):
    write(tmp_path, content, zipped=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz"):
        mnist(tmp_path)


def test_every_damaged_byte_of_a_gzip_is_an_error_or_harmless(tmp_path, content):
    write(tmp_path, content, zipped=True)
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    data, named = path.read_bytes(), []
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            labels = mnist(tmp_path)[1].y
        except ValueError as error:
            named.append(path.name in str(error))
        else:
            assert labels.tolist() == [7, 2, 1]
    assert len(named) > len(data) // 2
    assert all(named)


def test_a_missing_mnist_file_is_named(tmp_path, content):
    del content["t10k-labels-idx1-ubyte"]
    with pytest.raises(FileNotFoundError, match=r"no t10k-labels-idx1-ubyte and no .*\.gz"):
        mnist(write(tmp_path, content))
    with pytest.raises(FileNotFoundError, match="nowhere has no train-images"):
        mnist(tmp_path / "nowhere")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_of_x_and_y_is_one_dataset(tmp_path, save):
    x = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
    save(tmp_path / "blobs.npz", x=x, y=[0, 1, 1, 0], classes=["a", "b"])
    data = npz(tmp_path / "blobs.npz")
    np.testing.assert_array_equal(data.x, x)
    assert (data.x.dtype, data.y.tolist()) == (np.uint8, [0, 1, 1, 0])
    assert (data.classes, data.name) == (("a", "b"), "blobs")


def test_an_npz_with_keys_like_those_of_keras_is_a_pair(tmp_path):
    x = np.asfortranarray(np.arange(12.0).reshape(4, 3))
    np.savez(tmp_path / "m.npz", x_train=x, y_train=list("bcbb"), x_test=x[:2], y_test=list("ab"))
    train, test = npz(str(tmp_path / "m.npz"))
    np.testing.assert_array_equal(train.x, x)
    assert train.classes == test.classes == ("a", "b", "c")
    assert (train.y.tolist(), test.y.tolist()) == ([1, 2, 1, 1], [0, 1])
    assert (train.name, test.name) == ("m train", "m test")


def npy_bytes(array, **change):
    file = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array) | change
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


def zipped(*members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


ONES = npy_bytes(np.ones(3))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a zip"),
        (b"no zip at all", "not a zip"),
        (zipped(("x.npy", ONES), ("z.npy", ONES)), "has the keys x, z; it needs x and y"),
        (zipped(("x.npy", ONES), ("y.npy", b"?")), "y.npy|magic"),
        (
            zipped(("x.npy", ONES), ("y.npy", npy_bytes(np.ones(3), shape=(10**12,)))),
            "y.npy claims",
        ),
        (
            zipped(("x.npy", ONES), ("y.npy", npy_bytes(np.ones(3), shape=(2,)))),
            "y.npy claims 16 bytes",
        ),
        (zipped(("x.npy", ONES), ("y.npy", npy_bytes(np.ones(2)))), "x has 3 examples, y has 2"),
        (zipped(("x.npy", ONES), ("y.npy", ONES))[:-40], "not a zip"),
    ],
)
def test_a_damaged_npz_is_named(tmp_path, data, words):
    path = tmp_path / "broken.npz"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=words) as caught:
        npz(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_npz_with_one_key_twice_is_refused(tmp_path):
    path = tmp_path / "twice.npz"
    path.write_bytes(zipped(("x.npy", ONES), ("y.npy", ONES), ("x.npy", npy_bytes(np.zeros(3)))))
    with pytest.raises(ValueError, match=r"two arrays called x\.npy"):
        npz(path)


def test_objects_in_an_npz_are_refused_and_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "unpickled"),)

    np.savez(tmp_path / "o.npz", x=np.array([Bomb(), 1], object), y=[0, 1])
    with pytest.raises(ValueError, match=r"o\.npz: x\.npy holds Python objects"):
        npz(tmp_path / "o.npz")
    assert not (tmp_path / "unpickled").exists()
