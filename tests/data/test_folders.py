"""Class folders: which files are examples, in which order, with which labels and pixels."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from fcnn import data

image = pytest.importorskip("PIL.Image")

ROOT = Path(os.environ.get("FCNN_DATA", Path(__file__).parents[3] / "shared" / "data"))


def draw(path, shade, size=(6, 5), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(shade).integers(0, 256, (*size, 3), np.uint8)
    image.fromarray(values).save(path, **options)
    return values


@pytest.fixture
def tree(tmp_path):
    """Six pictures of two classes, and what is no example."""
    root = tmp_path / "pets"
    for number, name in enumerate(
        ["dog/b.png", "dog/a (1).PNG", "dog/deep/er/c.bmp", "cat/x.png", "cat/y.webp", "cat/10.png"]
    ):
        draw(root / name, number, **({"lossless": True} if name.endswith("webp") else {}))
    (root / "dog" / "notes.txt").write_text("no picture")
    draw(root / "cat" / ".hidden.png", 9)
    draw(root / ".thumbnails" / "x.png", 9)
    (root / "readme.md").write_text("pets")
    (root / "empty").mkdir()
    return root


def pillow(path, mode="RGB", size=None):
    picture = image.open(path).convert(mode)
    if size is not None:
        picture = picture.resize(size[::-1], image.Resampling.BILINEAR)
    return np.asarray(picture)


NAMES = ["cat/10.png", "cat/x.png", "cat/y.webp", "dog/a (1).PNG", "dog/b.png", "dog/deep/er/c.bmp"]


def test_folders_are_classes_and_pictures_come_by_class_and_name(tree):
    pets = data.folder(tree)
    assert pets.x.names == NAMES
    assert (pets.y.tolist(), pets.y.dtype) == ([0, 0, 0, 1, 1, 1], np.int32)
    assert (pets.classes, pets.name) == (("cat", "dog"), "pets")
    assert (pets.x.shape, pets.x.dtype, len(pets)) == ((6, 6, 5, 3), np.uint8, 6)
    assert repr(pets) == "<pets: 6 examples, x uint8[6,5,3], y int32[], 2 classes>"
    x, y = pets[[5, 0]]
    np.testing.assert_array_equal(x, np.stack([pillow(tree / NAMES[5]), pillow(tree / NAMES[0])]))
    assert y.tolist() == [1, 0]


@pytest.mark.parametrize("size", [4, (4, 4), (3, 8)])
@pytest.mark.parametrize(("mode", "wanted"), [("rgb", "RGB"), ("gray", "L")])
def test_pictures_have_the_size_and_the_channels_asked_for(tree, size, mode, wanted):
    pets = data.folder(tree, size=size, mode=mode)
    size = (size, size) if isinstance(size, int) else size
    expected = np.stack([pillow(tree / name, wanted, size) for name in NAMES])
    np.testing.assert_array_equal(pets.x[:], expected.reshape(6, *size, -1))


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("Training", "Testing"), ("TRAIN", "val")]
)
def test_a_train_and_a_test_folder_are_a_pair_with_one_list_of_classes(tmp_path, train, test):
    for name in (f"{train}/a/1.png", f"{train}/b/1.png", f"{test}/b/1.png"):
        draw(tmp_path / "set" / name, len(name))
    (tmp_path / "set" / "batches").mkdir()
    first, second = data.folder(tmp_path / "set")
    assert (first.classes, second.classes) == (("a", "b"), ("a", "b"))
    assert (first.y.tolist(), second.y.tolist()) == ([0, 1], [1])
    assert (first.name, second.name) == ("set train", "set test")


def test_a_class_may_be_called_train(tmp_path):
    for name in ("train", "car"):
        draw(tmp_path / name / "1.png", 1)
    assert data.folder(tmp_path).classes == ("car", "train")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["train/a/1.png", "test/b/1.png"], r"test half has the classes \['b'\], .* only \['a'\]"),
        (["train/a/1.png", "test/a/1.png", "val/a/1.png"], "has the folders test, train, val"),
        (
            ["train/a/1.png", "test/a/1.png", "more/a/1.png", "2.png"],
            r"has a train and a test folder beside others \(2.png, more\); move those away",
        ),
        (["train/a/1.png"], "has the folders train; a train and a test folder make a pair"),
        (["a/1.png", "2.png"], r"2\.png lies in no class folder; .* give label="),
        (["a/notes.txt"], "holds no pictures"),
    ],
)
def test_folders_that_do_not_fit_are_refused(tmp_path, names, words):
    for name in names:
        path = tmp_path / name
        if name.endswith("txt"):
            path.parent.mkdir(parents=True)
            path.write_text("")
        else:
            draw(path, 1)
    with pytest.raises(ValueError, match=words):
        data.folder(tmp_path)


def test_labels_may_come_from_the_path(tmp_path):
    for name in ("eel_1.png", "ant_2.png", "ant_1.png"):
        draw(tmp_path / name, 1)
    found = data.folder(tmp_path, label=lambda path: path.stem.split("_")[0])
    assert found.x.names == ["ant_1.png", "ant_2.png", "eel_1.png"]
    assert (found.y.tolist(), found.classes) == ([0, 0, 1], ("ant", "eel"))
    with pytest.raises(TypeError, match="label must give a str, and gave 3"):
        data.folder(tmp_path, label=lambda path: 3)


def test_given_classes_number_the_labels(tree):
    assert data.folder(tree, classes=["eel", "dog", "cat"]).y.tolist() == [2, 2, 2, 1, 1, 1]
    with pytest.raises(ValueError, match=r"\['cat'\].* not among the classes"):
        data.folder(tree, classes=["dog"])


def test_wrong_options_are_listed_together(tree):
    options = {"size": (0, 4), "mode": "cmyk", "fit": "fill", "on_error": "no", "cache": "a.dat"}
    with pytest.raises(ValueError, match=r"size .*mode .*fit .*on_error .*cache "):
        data.folder(tree, **options)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        data.folder(tree / "nowhere")


def test_pictures_of_several_sizes_need_a_size(tree):
    draw(tree / "dog" / "z.png", 1, (4, 9))
    with pytest.raises(ValueError, match=r"differ in size \(4 x 9, 6 x 5 .* give size="):
        data.folder(tree)
    assert data.folder(tree, size=6).x[:].shape == (7, 6, 6, 3)


def test_links_in_a_circle_end(tree):
    (tree / "dog" / "again").symlink_to(tree / "dog", target_is_directory=True)
    (tree / "cat" / "self").symlink_to(tree / "cat" / "self")
    (tree / "cat" / "gone.png").symlink_to(tree / "nothing.png")
    found = data.folder(tree)
    assert found.x.names == sorted([*NAMES, "cat/gone.png"])
    assert found.x.problems() == [("cat/gone.png", "No such file or directory")]


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "xztar"])
@pytest.mark.parametrize("above", [".", "pets"])
def test_an_archive_gives_what_its_folder_gives(tree, tmp_path, kind, above):
    root = tree if above == "." else tree.parent
    archive = shutil.make_archive(str(tmp_path.parent / f"{tmp_path.name}-{above}"), kind, root)
    found, expected = data.folder(archive), data.folder(tree)
    assert [name.removeprefix("pets/") for name in found.x.names] == expected.x.names
    assert (found.classes, found.y.tolist()) == (expected.classes, expected.y.tolist())
    np.testing.assert_array_equal(found.x[:], expected.x[:])


def test_a_memory_cache_is_an_array_of_the_same(tree):
    cached = data.folder(tree, cache="memory")
    assert type(cached.x) is np.ndarray
    np.testing.assert_array_equal(cached.x, data.folder(tree).x[:])


def test_a_cache_on_disk_is_used_again_until_something_changes(tree, tmp_path, monkeypatch):
    file = tmp_path / "pets.npy"
    expected = data.folder(tree).x[:]
    np.testing.assert_array_equal(data.folder(tree, cache=file).x, expected)
    np.testing.assert_array_equal(np.load(file), expected)
    decoded = []
    whole = data.Pictures.decode_into
    monkeypatch.setattr(
        data.Pictures, "decode_into", lambda x, out: decoded.append(1) or whole(x, out)
    )
    again = data.folder(tree, cache=str(file))
    np.testing.assert_array_equal(again.x, expected)
    assert (decoded, again.y.tolist()) == ([], [0, 0, 0, 1, 1, 1])
    assert again.take([3]).x.shape == (1, 6, 5, 3)

    values = draw(tree / "cat" / "x.png", 77)
    np.testing.assert_array_equal(data.folder(tree, cache=file).x[1], values)
    data.folder(tree, cache=file, mode="gray")
    file.write_bytes(file.read_bytes()[:-1])
    data.folder(tree, cache=file, mode="gray")
    (tmp_path / "pets.npy.json").write_text("[]")
    data.folder(tree, cache=file, mode="gray")
    (tree / "cat" / "y.webp").unlink()
    assert len(data.folder(tree, cache=file, mode="gray")) == 5
    assert len(decoded) == 5
    assert sorted(os.listdir(tmp_path)) == ["pets", "pets.npy", "pets.npy.json"]


def test_caches_leave_out_what_cannot_be_read_and_say_so(tree, tmp_path, capsys):
    (tree / "cat" / "x.png").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"1 of 6 pictures .*\n  cat/x.png: "):
        data.folder(tree, size=4, cache="memory")
    for cache in ("memory", tmp_path / "c.npy", tmp_path / "c.npy"):
        found = data.folder(tree, size=4, cache=cache, on_error="skip")
        assert (found.x.shape, found.y.tolist()) == ((5, 4, 4, 3), [0, 0, 1, 1, 1])
        assert "1 of 6 pictures cannot be read and are left out" in capsys.readouterr().err
        np.testing.assert_array_equal(found.x[1], pillow(tree / NAMES[2], size=(4, 4)))


def test_a_pair_is_cached_in_two_files(tmp_path):
    for name in ("train/a/1.png", "test/a/1.png"):
        draw(tmp_path / name, len(name))
    data.folder(tmp_path, cache=tmp_path / "c.npy")
    assert {"c-train.npy", "c-test.npy"} <= set(os.listdir(tmp_path))


def test_a_table_names_pictures_and_labels(tree):
    table = tree / "pets.csv"
    table.write_text(
        'file,kind,weight,n\n"dog/a (1).PNG",dog,1.5,2\n./cat/x.png,cat,2,0\n', encoding="utf-8-sig"
    )
    found = data.csv(table, path="file", label="kind")
    assert found.x.names == ["dog/a (1).PNG", "cat/x.png"]
    assert (found.y.tolist(), found.classes, found.name) == ([1, 0], ("cat", "dog"), "pets")
    np.testing.assert_array_equal(found.x[1], pillow(tree / "cat" / "x.png"))
    floats = data.csv(table, path="file", label="weight")
    assert (floats.y.tolist(), floats.y.dtype, floats.classes) == ([1.5, 2], np.float32, None)
    numbers = data.csv(table, path="file", label="n", root=tree)
    assert (numbers.y.tolist(), numbers.y.dtype) == ([2, 0], np.int32)


@pytest.mark.parametrize(
    ("labels", "y", "dtype", "classes"),
    [
        (["-1", "1"], [0, 1], np.int32, ("-1", "1")),
        (["02", "1"], [2, 1], np.int32, None),
        (["-1", "1.0"], [-1, 1], np.float32, None),
        (["1", "1e3"], [1, 1000], np.float32, None),
        (["1", "x"], [0, 1], np.int32, ("1", "x")),
    ],
)
def test_labels_of_a_table_are_names_numbers_or_targets(tree, labels, y, dtype, classes):
    rows = [f"{name},{label}" for name, label in zip(NAMES, labels, strict=False)]
    (tree / "t.csv").write_text("\n".join(["path,label", *rows]))
    found = data.csv(tree / "t.csv")
    assert (found.y.tolist(), found.y.dtype, found.classes) == (y, dtype, classes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,kind\na.png,dog\n", r"has the columns \['path', 'kind'\], and lacks \['label'\]"),
        ("path,label\n", "has no rows"),
        ("path,label\na.png\n", "empty in row 1"),
        ('path,label\n"a.png,x\n', "unexpected end of data"),
        ("path,label\na.png,nan\n", "t.csv: labels .* must be finite"),
        ("path,label\na.png,1e99\n", "must be finite in float32"),
        ("path,label\na.png,20231234567\n", "the label 20231234567 is beyond .* classes="),
        ("path,label\nnone.png,x\n", r"no picture can be read; none.png"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        data.csv(tmp_path / "t.csv")


@pytest.mark.skipif(not (ROOT / "cifar10").is_dir(), reason=f"CIFAR-10 is not in {ROOT}")
def test_the_real_cifar_pictures_are_read_from_their_zip():
    train, test = data.folder(ROOT / "cifar10" / "cifar10-jpg.zip")
    assert (train.x.shape, test.x.shape) == ((50_000, 32, 32, 3), (10_000, 32, 32, 3))
    assert np.bincount(test.y).tolist() == [1000] * 10
    for row in range(0, 10_000, 997):
        raw = test.x.source.read(test.x.names[row])
        np.testing.assert_array_equal(test.x[row], pillow(io.BytesIO(raw)))


@pytest.mark.skipif(not (ROOT / "brain-mri").is_dir(), reason=f"brain-mri is not in {ROOT}")
def test_the_real_brain_scans_have_odd_names_and_sizes():
    archive = ROOT / "brain-mri" / "brain-mri.zip"
    train, test = data.folder(archive, size=(48, 64), mode="gray", fit="pad")
    assert (len(train), len(test)) == (2870, 394)
    assert train.classes == test.classes
    assert any(" (" in name for name in train.x.names)
    assert train.x[::300].shape == (10, 48, 64, 1)
