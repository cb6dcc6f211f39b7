import io
import os
import subprocess
import sys
import threading
import zipfile
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from fcnn import data
from fcnn.data.inspection import check

image = pytest.importorskip("PIL.Image")
from .make_pictures import BAD, ODD, encoded, make_tree  # noqa: E402  (it needs Pillow)

SHARED = Path(os.environ.get("FCNN_DATA", Path(__file__).parents[3] / "shared" / "data"))
BRAIN = SHARED / "brain-mri" / "brain-mri.zip"


def noise(seed, shape=(8, 10, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write(folder, files):
    """Files by name: pixels, or bytes as they are."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else encoded(content, "PNG"))
    return folder


def kinds(findings):
    return [finding.kind for finding in findings]


def only(findings, kind):
    (found,) = [finding for finding in findings if finding.kind == kind]
    return found


@pytest.fixture
def clean(tmp_path):
    names = [
        f"{half}/{label}/{i}.png" for half in ("train", "test") for label in "ab" for i in "12"
    ]
    return write(tmp_path / "clean", {name: noise(i) for i, name in enumerate(names)})


def test_a_clean_folder_has_counts_and_nothing_wrong(clean):
    found = check(clean)
    assert found.ok
    assert found.problems == found.warnings == ()
    assert found.counts == {"train": {"a": 2, "b": 2}, "test": {"a": 2, "b": 2}}
    assert found.sizes == {(8, 10): 8}
    assert found.formats == {"PNG": 8}
    assert found.modes == {"RGB": 8}
    lines = str(found).splitlines()
    assert lines[0] == f"{clean}: 8 pictures in 2 classes"
    assert "total      4     4" in lines
    assert lines[-1] == "no problems, no warnings"


def test_a_tree_shows_exactly_its_bad_files_and_no_odd_one(tmp_path):
    bad, odd = make_tree(tmp_path, count=100, bad=12, odd=16)
    assert sorted(bad.values()) == sorted(BAD * 2)
    assert sorted(odd.values()) == sorted(ODD * 2)
    found = check(tmp_path)
    assert {tmp_path / name for name in found.unreadable} == set(bad)
    assert all(found.unreadable.values())
    assert kinds(found.problems) == ["unreadable"]
    assert found.warnings == ()
    reasons = {bad[tmp_path / name]: reason for name, reason in found.unreadable.items()}
    assert reasons["empty.png"] == "the file is empty"
    assert reasons["text.png"].startswith("it is no PNG, JPEG")
    assert "truncated" in reasons["tail.jpg"]
    assert "truncated" in reasons["half.png"]


def test_a_tree_is_the_same_every_time(tmp_path):
    for name in "ab":
        make_tree(tmp_path / name, count=40, bad=6, odd=8, seed=3)
    names = [{p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*.*")} for n in "ab"]
    assert names[0] == names[1]
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


@pytest.mark.slow
def test_1000_files_are_checked_in_less_than_1_gb(tmp_path):
    bad, _ = make_tree(tmp_path)
    assert len(bad) == 60
    program = (
        "import resource, sys; from fcnn.data.inspection import check; "
        "names = check(sys.argv[1]).unreadable; print(*sorted(names), sep='\\n'); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    *names, kilobytes = ran.stdout.split()
    assert [tmp_path / name for name in names] == sorted(bad)
    assert int(kilobytes) < 1e6


def test_a_file_cut_anywhere_is_bad_where_pillow_says_so(tmp_path):
    jpeg, png = encoded(noise(0, (40, 40, 3)), "JPEG"), encoded(noise(0, (40, 40, 3)), "PNG")
    files = {f"a/{cut:02d}.jpg": jpeg[: len(jpeg) - cut] for cut in range(40)}
    files |= {f"b/{cut:02d}.png": png[: len(png) - cut] for cut in range(40)}
    expected = set()
    for name, content in files.items():
        try:
            image.open(io.BytesIO(content)).load()
        except (OSError, SyntaxError):
            expected.add(name)
    assert 40 < len(expected) < 80
    assert set(check(write(tmp_path, files)).unreadable) == expected


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(clean):
    (clean / "train/a/1.png").chmod(0)
    assert check(clean).unreadable == {"train/a/1.png": "Permission denied"}


def test_equal_pictures_are_found_however_they_were_saved(tmp_path):
    rng = np.random.default_rng(0)
    pixels = [noise(seed, (4, 4, 3)) for seed in range(6)]
    files, held = {}, {}
    for i in range(40):
        name = f"{rng.choice(['train', 'test'])}/{rng.choice(['a', 'b'])}/{i}"
        held[name] = pixels[rng.integers(6)]
        form = ["PNG", "BMP", "TIFF"][i % 3]
        files[f"{name}.{form.lower()}"] = encoded(held[name], form)
    found = check(write(tmp_path, files))
    suffix = {name.rpartition(".")[0]: name for name in files}
    leaked, conflicting = set(), set()
    for one, two in combinations(held, 2):
        if np.array_equal(held[one], held[two]):
            halves = {name.split("/")[0]: name for name in (one, two)}
            if len(halves) == 2:
                leaked.add(suffix[halves["test"]])
            if one.split("/")[1] != two.split("/")[1]:
                conflicting.add(held[one].tobytes())
    leak = only(found.problems, "leak")
    total = sum(name.startswith("test") for name in held)
    assert {name for name, _ in leak.files} == leaked
    assert leak.text == f"{len(leaked)} of the {total} pictures in test are also in train"
    for name, twin in leak.files:
        one, two = name.rpartition(".")[0], twin.removeprefix("= ").rpartition(".")[0]
        np.testing.assert_array_equal(held[one], held[two])
    assert len(only(found.problems, "conflict").files) == len(conflicting)
    places = {(*name.split("/")[:2], held[name].tobytes()) for name in held}
    assert len(only(found.warnings, "repeat").files) == len(held) - len(places)


def test_a_validation_half_leaks_too(tmp_path):
    files = {"train/a/1.png": noise(1), "val/a/1.png": noise(2), "test/a/1.png": noise(3)}
    files |= {"val/a/2.png": noise(1), "test/a/2.png": noise(2)}
    found = check(write(tmp_path, files))
    assert list(found.counts) == ["train", "val", "test"]
    assert [finding.text for finding in found.problems] == [
        "1 of the 2 pictures in val are also in train",
        "1 of the 2 pictures in test are also in val",
    ]


def test_equal_pictures_of_another_shape_differ(tmp_path):
    pixels = noise(0, (4, 6, 3))
    found = check(write(tmp_path, {"a/1.png": pixels, "b/1.png": pixels.reshape(6, 4, 3)}))
    assert found.ok


def test_names_sizes_and_colours_that_are_odd_are_warnings(tmp_path):
    files = {f"a/{i}.png": noise(i) for i in range(30)}
    files |= {"a/lies.jpg": noise(50), "a/tiny.png": noise(51, (2, 2, 3))}
    files |= {"a/blank.png": np.full((8, 10, 3), 7, np.uint8), "a/notes.txt": b"notes"}
    found = check(write(tmp_path, files))
    assert found.ok
    assert only(found.warnings, "suffix").files == (("a/lies.jpg", "is PNG"),)
    assert only(found.warnings, "size").files == (("a/tiny.png", "2 x 2"),)
    assert only(found.warnings, "one colour").files == (("a/blank.png", ""),)
    assert only(found.warnings, "left out").files == (("a/notes.txt", ""),)


def test_where_sizes_vary_none_is_far_from_the_usual(tmp_path):
    files = {f"{'ab'[i % 2]}/{i}.png": noise(i, (4 * 2**i, 4, 3)) for i in range(6)}
    assert check(write(tmp_path, files)).warnings == ()


def test_classes_that_do_not_fit_are_found(tmp_path):
    files = {f"train/cat/{i}.png": noise(i) for i in range(20)}
    files |= {"train/Big dog/1.png": noise(30), "test/big_dog/1.png": noise(31)}
    files |= {"test/cat/1.png": noise(32), "test/owl/1.png": noise(33)}
    (tmp_path / "train/bee").mkdir(parents=True)
    found = check(write(tmp_path, files))
    assert not found.ok
    assert only(found.warnings, "spelling").text == (
        "classes differ in spelling only: 'Big dog' in train, 'big_dog' in test"
    )
    assert [finding.text for finding in found.problems if finding.kind == "class"] == [
        "train lacks the 2 classes 'big_dog', 'owl', of which test has pictures"
    ]
    assert only(found.warnings, "imbalance").text == (
        "the classes are far from balanced in train: 20 of 'cat', 1 of 'Big dog'"
    )
    assert only(found.warnings, "empty").files == (("train/bee", ""),)


def test_a_picture_beside_the_class_folders_is_a_problem(tmp_path):
    files = {"a/1.png": noise(1), "b/1.png": noise(2), "lost.png": noise(3)}
    found = check(write(tmp_path, files))
    assert only(found.problems, "no class").files == (("lost.png", ""),)


def test_folders_beside_the_halves_are_a_problem(tmp_path):
    names = ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png", "more/a/1.png"]
    found = check(write(tmp_path, {name: noise(i) for i, name in enumerate(names)}))
    text = only(found.problems, "halves").text
    assert text.endswith("has a train and a test folder beside others (more); move those away")
    with pytest.raises(ValueError, match=r"beside others \(more\)"):
        data.folder(tmp_path)


def test_a_single_class_is_a_warning(tmp_path):
    found = check(write(tmp_path, {"a/1.png": noise(1), "a/2.png": noise(2)}))
    assert found.ok
    assert [finding.text for finding in found.warnings] == [
        "there is one class, 'a', and nothing to tell apart"
    ]


def test_a_picture_of_a_phone_is_a_jpeg(tmp_path):
    buffer = io.BytesIO()
    one, two = (image.fromarray(noise(i, (32, 32, 3))) for i in range(2))
    one.save(buffer, "MPO", save_all=True, append_images=[two])
    found = check(write(tmp_path, {"a/1.jpg": buffer.getvalue(), "b/1.png": noise(2)}))
    assert (found.ok, found.warnings) == (True, ())
    assert found.formats == {"JPEG": 1, "PNG": 1}


def test_a_heap_without_class_folders_is_a_warning(tmp_path):
    found = check(write(tmp_path, {"1.png": noise(1), "2.png": noise(2)}))
    assert found.ok
    assert kinds(found.warnings) == ["no class"]


@pytest.mark.parametrize("around", ["", "photos/", "my/photos/"])
def test_an_archive_is_checked_like_its_folder(clean, tmp_path, around):
    (clean / "test/a/1.png").write_bytes((clean / "train/b/1.png").read_bytes())
    (clean / "test/b/2.png").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "clean.zip", "w") as archive:
        for path in clean.rglob("*.png"):
            archive.write(path, f"{around}{path.relative_to(clean).as_posix()}")
    there, packed = check(clean), check(tmp_path / "clean.zip")
    assert packed.counts == there.counts
    assert kinds(packed.problems) == kinds(there.problems) == ["unreadable", "leak", "conflict"]
    assert packed.unreadable == {f"{around}test/b/2.png": "the file is empty"}


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_number_of_threads_changes_nothing(tmp_path, workers):
    make_tree(tmp_path, count=70, bad=6, odd=8)
    assert check(tmp_path, workers=workers) == check(tmp_path)


def test_large_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    write(tmp_path, {f"a/{i}.png": noise(i) for i in range(200)})
    inside, most, lock = 0, 0, threading.Lock()
    decode = data.inspection.pixels

    def counted(raw):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        try:
            return decode(raw)
        finally:
            with lock:
                inside -= 1

    monkeypatch.setattr("fcnn.data.inspection.pixels", counted)
    monkeypatch.setattr("fcnn.data.inspection._ALONE", 10)
    check(tmp_path, workers=4)
    assert most == 1


def test_arrays_are_checked_too(tmp_path):
    x = np.random.default_rng(0).random((10, 4, 4, 1), np.float32)
    x[3, 0, 0] = np.nan
    x[7], x[8], x[5] = x[0], x[1], 0.5
    y = np.arange(10) % 2
    parts = {"x_train": x[:7], "y_train": y[:7], "x_test": x[7:], "y_test": y[7:]}
    np.savez(tmp_path / "a.npz", **parts, classes=np.array(["no", "yes"]))
    found = check(tmp_path / "a.npz")
    assert found.counts == {"train": {"no": 4, "yes": 3}, "test": {"no": 1, "yes": 2}}
    assert only(found.problems, "not finite").files == (("train[3]", "NaN or infinity"),)
    leak = only(found.problems, "leak")
    assert leak.files == (("test[0]", "= train[0]"), ("test[1]", "= train[1]"))
    assert only(found.problems, "conflict").files
    assert only(found.warnings, "one colour").files == (("train[5]", ""),)


def test_a_damaged_array_file_is_a_problem(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\3\4 and no more")
    found = check(tmp_path / "a.npz")
    assert not found.ok
    assert "a.npz" in found.unreadable


def test_what_cannot_be_checked_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="none does not exist"):
        check(tmp_path / "none")
    with pytest.raises(ValueError, match="holds no pictures, that is, no files ending in"):
        check(tmp_path)
    with pytest.raises(ValueError, match="workers must be at least 0, got -1"):
        check(tmp_path, workers=-1)


def test_a_long_list_is_cut_and_json_is_whole(tmp_path):
    found = check(write(tmp_path, {f"a/{i:02d}.png": b"" for i in range(30)}))
    assert "    and 10 more" in str(found).splitlines()
    assert "a/29.png" not in str(found)
    assert "a/29.png" in found.text(limit=None)
    (problem,) = found.to_json()["problems"]
    assert problem["files"][29] == {"name": "a/29.png", "detail": "the file is empty"}


def test_a_name_that_no_terminal_can_show_is_escaped(tmp_path):
    found = check(write(tmp_path, {"a/1.png": noise(1), "a/two\nlines.png": b""}))
    assert r"a/two\nlines.png  the file is empty" in str(found)


@pytest.mark.skipif(not BRAIN.is_file(), reason=f"no {BRAIN}; FCNN_DATA names another folder")
def test_the_leak_of_the_brain_pictures_is_found():
    with zipfile.ZipFile(BRAIN) as archive:  # equal pictures have equal bytes there
        sums = {member.filename: member.CRC for member in archive.infolist()}
    training = {crc for name, crc in sums.items() if "Training/" in name}
    leaked = {name for name, crc in sums.items() if "Testing/" in name and crc in training}
    found = check(BRAIN)
    assert {name for name, _ in only(found.problems, "leak").files} == leaked
    assert "251 of the 394 pictures in Testing are also in Training:" in str(found)
