"""CIFAR in all its forms gives the same pictures, and nothing in a file is ever run."""

import os
import pickle
import struct

import numpy as np
import pytest

from fcnn.data import cifar10, cifar100
from fcnn.data.cifar import read_batch

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def planes(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), np.uint8)


def expected(rows):
    """Pixel by pixel, from the description of the format."""
    x = np.zeros((len(rows), 32, 32, 3), np.uint8)
    for n, row in enumerate(rows):
        for c in range(3):
            for h in range(32):
                x[n, h, :, c] = row[1024 * c + 32 * h : 1024 * c + 32 * h + 32]
    return x


def old_bytes(raw):
    return b"T" + struct.pack("<i", len(raw)) + raw


def old_pickle(entries):
    """As Python 2 wrote the official files: texts and pixels are its byte strings."""
    parts = []
    for key, value in entries.items():
        parts.append(b"U" + bytes([len(key)]) + key.encode())
        if isinstance(value, np.ndarray):
            rows, columns = value.shape
            parts.append(
                b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b"
                b"\x87Rq\x03(K\x01M"
                + struct.pack("<H", rows)
                + b"M"
                + struct.pack("<H", columns)
                + b"\x86cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff"
                b"\xffJ\xff\xff\xff\xffK\x00tb\x89" + old_bytes(value.tobytes()) + b"tb"
            )
        elif isinstance(value, list):
            items = (
                b"K" + bytes([v]) if isinstance(v, int) else old_bytes(v.encode()) for v in value
            )
            parts.append(b"](" + b"".join(items) + b"e")
        else:
            parts.append(old_bytes(value.encode()))
    return b"\x80\x02}q\x00(" + b"".join(parts) + b"u."


def new_pickle(entries):
    """As NumPy writes them today, by protocol 2."""
    return pickle.dumps(entries, protocol=2)


def write_python(folder, dump):
    batches = {f"data_batch_{n}": planes(4, n) for n in range(1, 6)} | {"test_batch": planes(3, 6)}
    for name, data in batches.items():
        labels = [(3 * n + len(data)) % 10 for n in range(len(data))]
        (folder / name).write_bytes(
            dump({"batch_label": name, "labels": labels, "data": data, "filenames": ["a.png"]})
        )
    meta = {"label_names": CLASSES, "vis": "x"}
    (folder / "batches.meta").write_bytes(dump(meta))
    return batches


@pytest.mark.parametrize("dump", [old_pickle, new_pickle])
@pytest.mark.parametrize("below", ["", "cifar-10-batches-py"])
def test_pickled_batches_are_read(tmp_path, dump, below):
    (tmp_path / below).mkdir(exist_ok=True)
    batches = write_python(tmp_path / below, dump)
    train, test = cifar10(tmp_path)
    rows = np.concatenate([batches[f"data_batch_{n}"] for n in range(1, 6)])
    np.testing.assert_array_equal(train.x, expected(rows))
    np.testing.assert_array_equal(test.x, expected(batches["test_batch"]))
    assert (train.y.tolist(), test.y.tolist()) == ([4, 7, 0, 3] * 5, [3, 6, 9])
    assert (train.y.dtype, train.x.flags.c_contiguous) == (np.int32, True)
    assert (train.classes, test.name) == (tuple(CLASSES), "cifar10 test")


def test_binary_batches_are_read(tmp_path):
    rows, labels = planes(12), np.arange(12, dtype=np.uint8) % 10
    records = np.concatenate([labels[:, None], rows], 1)
    for n in range(5):
        records[2 * n : 2 * n + 2].tofile(tmp_path / f"data_batch_{n + 1}.bin")
    records[10:].tofile(tmp_path / "test_batch.bin")
    train, test = cifar10(tmp_path)
    np.testing.assert_array_equal(train.x, expected(rows[:10]))
    assert (train.y.tolist(), test.y.tolist(), train.classes) == (list(range(10)), [0, 1], None)
    (tmp_path / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n\n")
    assert cifar10(tmp_path)[0].classes == tuple(CLASSES)
    with (tmp_path / "test_batch.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"test_batch\.bin: 6,147 bytes .* records of 3,073"):
        cifar10(tmp_path)
    (tmp_path / "data_batch_4.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks data_batch_4\.bin"):
        cifar10(tmp_path)


@pytest.mark.parametrize("form", ["python", "binary"])
@pytest.mark.parametrize("coarse", [False, True])
def test_cifar100_has_fine_and_coarse_labels(tmp_path, form, coarse):
    rows, fine, broad = planes(5), [99, 0, 42, 7, 3], [19, 0, 4, 1, 2]
    for name in ("train", "test"):
        if form == "python":
            entries = {"fine_labels": fine, "coarse_labels": broad, "data": rows}
            (tmp_path / name).write_bytes(old_pickle(entries))
        else:
            labels = np.array([broad, fine], np.uint8).T
            np.concatenate([labels, rows], 1).tofile(tmp_path / f"{name}.bin")
    names = {"fine": [f"f{n}" for n in range(100)], "coarse": [f"c{n}" for n in range(20)]}
    if form == "python":
        meta = {f"{kind}_label_names": names[kind] for kind in names}
        (tmp_path / "meta").write_bytes(new_pickle(meta))
    else:
        for kind in names:
            (tmp_path / f"{kind}_label_names.txt").write_text("\n".join(names[kind]))
    train, _ = cifar100(tmp_path, coarse=coarse)
    np.testing.assert_array_equal(train.x, expected(rows))
    assert train.y.tolist() == (broad if coarse else fine)
    assert train.classes == tuple(names["coarse" if coarse else "fine"])


def test_a_class_folder_of_pictures_serves_as_well(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for half in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / half / name).mkdir(parents=True)
            image.new("RGB", (32, 32), "red").save(tmp_path / half / name / "1.png")
    train, test = cifar10(tmp_path)
    assert (train.x.shape, train.classes, test.name) == (
        (2, 32, 32, 3),
        ("cat", "dog"),
        "cifar10 test",
    )
    with pytest.raises(
        FileNotFoundError, match=r"no data_batch_1, no data_batch_1\.bin and no fold"
    ):
        cifar10(tmp_path / "train")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (pickle.dumps({"data": Bomb()}, 2), "names '(posix|nt) mkdir'"),
        (pickle.dumps({"data": Bomb()}, 0), "operation|names"),
        (pickle.dumps({"data": Bomb()}, 4), "operation"),
        (b"\x80\x02cos\nsystem\n(U\x04lstR.", "names 'os system'"),
        (b"\x80\x02cnumpy\nndarray\n(K\x05tR.", "something other than an array"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "holds a list"),
        (b"\x80\x02B\xff\xff\xff\xffabc.", "expected .* bytes|not enough|exhausted"),
        (b"\x80\x02}(U\x01aK\x01U\x01aK\x02u.", "two entries called b'a'"),
        (b"\x80\x02}(U\x01au.", "shorter|fit"),
        (b"\x80\x02}u.", "do not fit together"),
        (b"\x80\x02R.", "do not fit together"),
        (b"\x80\x02}", "exhausted|ends early"),
        (b"", "exhausted|ends early"),
        (b"no pickle", "opcode|fit|operation"),
        (new_pickle({"data": np.zeros((2, 3072))}), "something other than an array of bytes"),
        (old_pickle({"data": planes(2)}).replace(b"\x00\x0c\x86", b"\x01\x0c\x86"), "an array"),
    ],
)
def test_nothing_but_plain_batches_is_read_and_nothing_is_run(tmp_path, monkeypatch, raw, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "batch").write_bytes(raw)
    with pytest.raises(ValueError, match=words) as caught:
        read_batch(tmp_path / "batch")
    assert "batch is no batch of CIFAR: " in str(caught.value)
    assert os.listdir(tmp_path) == ["batch"]


def test_every_truncation_of_a_batch_is_an_error(tmp_path):
    raw = old_pickle({"labels": [1, 2], "data": planes(2), "filenames": ["a", "b"]})
    for kept in [*range(300), *range(len(raw) - 40, len(raw))]:
        (tmp_path / "batch").write_bytes(raw[:kept])
        with pytest.raises(ValueError, match="no batch of CIFAR"):
            read_batch(tmp_path / "batch")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": [1, 2, 10]}, r"0\.\.9, got 1\.\.10"),
        ({"labels": [1, 2]}, "3 pictures and 2 labels"),
        ({"labels": ["a", "b", "c"]}, "labels is no list of integers"),
        ({"data": planes(3)[:, :100]}, r"data is no array \[n, 3072\]"),
        ({"data": [1]}, r"data is no array \[n, 3072\]"),
    ],
)
def test_batches_that_do_not_fit_are_named(tmp_path, change, words):
    write_python(tmp_path, old_pickle)
    entries = {"labels": [1, 2, 3], "data": planes(3)} | change
    (tmp_path / "test_batch").write_bytes(old_pickle(entries))
    with pytest.raises(ValueError, match=words):
        cifar10(tmp_path)
