"""Lazy pictures: only what is asked for is read, and a bad file is refused or left out by name."""

import os

import numpy as np
import pytest

from fcnn import data
from fcnn.data.archives import Folder
from fcnn.data.loading import Pictures

image = pytest.importorskip("PIL.Image")


@pytest.fixture
def tree(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (300, 4, 3, 3), np.uint8)
    for label in "ab":
        (tmp_path / label).mkdir()
    for number, picture in enumerate(values):
        image.fromarray(picture).save(tmp_path / "ab"[number // 150] / f"{number:03}.png")
    return tmp_path, values


def break_some(root, names=("a/007.png", "b/299.png")):
    for name in names:
        (root / name).write_bytes((root / name).read_bytes()[:60])


def count_reads(monkeypatch):
    read = []
    whole = Folder.read
    monkeypatch.setattr(Folder, "read", lambda self, name: read.append(name) or whole(self, name))
    return read


def test_pictures_are_indexed_as_an_array_is(tree):
    root, values = tree
    x = data.folder(root).x
    for rows in (
        [3, 299, 3],
        np.array([5], np.uint8),
        slice(2, 9, 3),
        values[:, 0, 0, 0] > 200,
        -1,
    ):
        np.testing.assert_array_equal(x[rows], values[rows])
    assert x[[]].shape == (0, 4, 3, 3)
    np.testing.assert_array_equal(x.take([9, 8])[1], values[8])
    with pytest.raises(IndexError):
        x[300]
    with pytest.raises(ValueError, match="axis 0, got 1"):
        x.take([0], axis=1)


def test_splits_and_parts_read_no_file(tree, monkeypatch):
    root, values = tree
    whole = data.folder(root)
    read = count_reads(monkeypatch)
    train, held = data.split(whole, 0.2)
    part = held.take(slice(0, 3))
    paired = data.as_dataset((part.x, part.y))
    assert all(isinstance(d.x, Pictures) for d in (train, held, part, paired))
    assert read == []
    x, _ = part[[1]]
    assert read == [part.x.names[1]]
    np.testing.assert_array_equal(x[0], values[int(part.x.names[1][2:5])])


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_any_number_of_threads_gives_the_same_bits(tree, workers):
    root, values = tree
    whole = data.folder(root)
    np.testing.assert_array_equal(data.readable(whole, workers=workers).x, values)
    batches = list(data.batches(whole, 64, seed=1, workers=workers))
    for batch in batches:
        np.testing.assert_array_equal(batch["x"], values[batch["index"]])


def test_readable_keeps_pictures_where_there_is_room_for_them(tree):
    root, values = tree
    whole = data.folder(root)
    kept = data.readable(whole, room=values.nbytes)
    assert type(kept.x) is np.ndarray
    np.testing.assert_array_equal(kept.x, values)
    lazy = data.readable(whole, room=values.nbytes - 1)
    assert isinstance(lazy.x, Pictures)
    assert lazy is whole


def test_readable_leaves_other_data_alone():
    plain = data.arrays(np.zeros(3), [0, 1, 0])
    assert data.readable(plain) is plain


def test_bad_files_are_listed_before_anything_else(tree):
    root, _ = tree
    whole = data.folder(root)
    break_some(root, [f"a/{number:03}.png" for number in range(30)])
    for room in (0, 2**29):
        with pytest.raises(ValueError, match="30 of 300 pictures") as caught:
            data.readable(whole, room=room)
        lines = str(caught.value).splitlines()
        assert [line[2:11] for line in lines[1:21]] == [f"a/{n:03}.png" for n in range(20)]
        assert lines[21:] == ["  and 10 more"]
        assert "on_error='skip' (--on-error skip) leaves them out" in lines[0]


@pytest.mark.parametrize("room", [0, 2**29])
def test_bad_files_are_skipped_where_that_is_asked(tree, room):
    root, values = tree
    break_some(root)
    whole, said = data.folder(root, size=(4, 3), on_error="skip"), []
    rest = data.readable(whole, room=room, say=said.append)
    good = np.delete(np.arange(300), [7, 299])
    assert len(rest) == 298
    np.testing.assert_array_equal(rest.x[:], values[good])
    np.testing.assert_array_equal(rest.y, whole.y[good])
    (line,) = said
    assert line.startswith("2 of 300 pictures cannot be read and are left out: first a/007.png: ")


def test_nothing_readable_is_an_error_even_so(tree):
    root, _ = tree
    whole = data.folder(root, size=4, on_error="skip").take([7, 299])
    break_some(root)
    with pytest.raises(ValueError, match="2 of 2 pictures"):
        data.readable(whole)


def test_each_good_file_is_looked_at_once(tree, monkeypatch):
    root, _ = tree
    break_some(root)
    whole = data.folder(root, size=4)
    read = count_reads(monkeypatch)
    first = whole.x.problems()
    assert [name for name, _ in first] == ["a/007.png", "b/299.png"]
    assert all(reason for _, reason in first)
    assert len(read) == 300
    assert whole.x.problems(workers=1) == first
    assert whole.take([7, 8]).x.problems() == first[:1]
    assert read[300:] == ["a/007.png", "b/299.png", "a/007.png"]


def test_a_file_that_is_mended_is_good_again(tree):
    root, values = tree
    whole = data.folder(root)
    good = (root / "a/007.png").read_bytes()
    break_some(root, ["a/007.png"])
    assert len(whole.x.problems()) == 1
    (root / "a/007.png").write_bytes(good)
    assert data.readable(whole, room=0) is whole
    np.testing.assert_array_equal(whole[7][0], values[7])


def test_a_file_that_goes_bad_later_is_named_with_its_folder(tree):
    root, _ = tree
    whole = data.folder(root)
    break_some(root)
    with pytest.raises(ValueError, match=r"a.007\.png cannot be read as a picture: ") as caught:
        whole[[6, 7, 8]]
    assert str(root) in str(caught.value)
    (root / "a" / "008.png").unlink()
    with pytest.raises(ValueError, match=r"008\.png .*: No such file"):
        whole[8]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_without_permission_is_a_problem(tree):
    root, _ = tree
    whole = data.folder(root)
    (root / "a" / "003.png").chmod(0)
    assert whole.x.problems() == [("a/003.png", "Permission denied")]


def test_where_no_size_is_given_another_size_is_a_problem(tree):
    root, _ = tree
    whole = data.folder(root)
    image.new("RGB", (9, 9)).save(root / "a" / "001.png")
    ((name, reason),) = whole.x.problems()
    assert name == "a/001.png"
    assert "it has 9 x 9 pixels, others 4 x 3; size=(h, w) resizes all" in reason


def test_an_error_of_the_program_is_no_bad_picture(tree, monkeypatch):
    root, _ = tree
    whole = data.folder(root)

    def broken(self, name):
        raise RuntimeError("a mistake")

    monkeypatch.setattr(Folder, "read", broken)
    with pytest.raises(RuntimeError, match="a mistake"):
        data.readable(whole, workers=2)
    with pytest.raises(ValueError, match="workers must be at least 0, got -1"):
        whole.x.problems(workers=-1)
