"""A checkpoint comes back bit for bit or not at all, and the newest that does is found."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from fcnn.store import CheckpointError, manifest, tensors
from fcnn.store.checkpoints import (
    Checkpoint,
    checkpoint_steps,
    collect,
    environment,
    newest_checkpoint,
    read_checkpoint,
    sweep,
    write_checkpoint,
)

from . import parts
from .parts import FILES, flip, put, same


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    path = put(tmp_path / "new" / "run", 120)
    assert path == tmp_path / "new" / "run" / "step_00000120"
    checkpoint = read_checkpoint(str(path))
    assert isinstance(checkpoint, Checkpoint)
    assert checkpoint.path == path
    assert same(checkpoint, 120)
    assert checkpoint.environment == environment()
    assert isinstance(checkpoint.values["params"]["stem"]["half"], jax.Array)


def test_the_files_can_be_read_without_fcnn(tmp_path):
    path = put(tmp_path, 7)
    assert sorted(os.listdir(path)) == list(FILES)
    entries = json.loads((path / "manifest.json").read_text())
    assert list(entries) == [
        *("format", "step", "tree", "files", "versions", "platform", "device_kind", "xla_flags"),
        *("notes", "digest"),
    ]
    assert (entries["format"], entries["step"], entries["platform"]) == (1, 7, "cpu")
    with np.load(path / "state.npz", allow_pickle=False) as state:
        kernel = parts.values(7)["params"]["stem"]["kernel"]
        np.testing.assert_array_equal(state["params/stem/kernel"], kernel)


def test_equal_values_and_notes_make_equal_files(tmp_path):
    one, other = put(tmp_path / "one", 3), put(tmp_path / "other", 3)
    assert [(one / name).read_bytes() for name in FILES] == [
        (other / name).read_bytes() for name in FILES
    ]


@pytest.mark.parametrize("values", [{}, {"state": {}}, {"x": np.zeros(0)}])
def test_next_to_nothing_comes_back_too(tmp_path, values):
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, 0, values, {}))
    assert tensors.encode(checkpoint.values) == tensors.encode(values)
    assert checkpoint.notes == {}


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_the_mode_is_what_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        path = put(tmp_path / "run", 1)
    finally:
        os.umask(before)
    modes = [p.stat().st_mode & 0o777 for p in (path, path / FILES[0], path / FILES[1])]
    assert modes == [0o750, 0o640, 0o640]


def test_only_directories_named_by_a_step_are_looked_at(tmp_path):
    for step in (9, 100_000_000, 10):
        put(tmp_path, step)
    for name in ("step_9", "step_00000011.tmp", ".tmp-1-a", ".trash-1-a", "step_١٢٣٤٥٦٧٨", "x"):
        shutil.copytree(tmp_path / "step_00000010", tmp_path / name)
    (tmp_path / "step_00000012").touch()
    (tmp_path / "step_00000013").symlink_to(tmp_path / "step_00000010")
    assert checkpoint_steps(tmp_path) == [9, 10, 100_000_000]
    newest, errors = newest_checkpoint(tmp_path)
    assert (newest.step, errors) == (100_000_000, [])
    collect(tmp_path, 1, 200_000_000)
    assert checkpoint_steps(tmp_path) == [100_000_000]
    assert (tmp_path / "step_9").is_dir()
    with pytest.raises(CheckpointError, match=r"step_9: is not a directory named"):
        read_checkpoint(tmp_path / "step_9")


def test_a_folder_that_is_not_there_has_no_checkpoint(tmp_path):
    assert checkpoint_steps(tmp_path / "none") == []
    assert newest_checkpoint(tmp_path / "none") == (None, [])
    with pytest.raises(CheckpointError, match="step_00000001: is not a directory"):
        read_checkpoint(tmp_path / "none" / "step_00000001")


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file: cannot be listed: Not a directory"):
        newest_checkpoint(tmp_path / "file")


@pytest.mark.parametrize(
    ("step", "values", "notes", "error", "words"),
    [
        (-1, {}, {}, ValueError, "step must be a whole number from 0, got -1"),
        (1.0, {}, {}, ValueError, r"got 1\.0"),
        (1, np.zeros(2), {}, TypeError, "values must be nested dicts of arrays"),
        (1, {"a": [np.zeros(2)]}, {}, TypeError, "a is a list"),
        (1, {}, [1], TypeError, r"notes must be a dict, got \[1\]"),
        (1, {}, {"a": {1}}, TypeError, r"notes/a is \{1\}; JSON has no set"),
        (1, {"a" * 600: np.zeros(1)}, {}, CheckpointError, r"step_00000001: 'aaa"),
        (1, {}, {"a": "x" * 5_000_000}, CheckpointError, r"the manifest has 5,000,"),
    ],
)
def test_what_cannot_be_written_is_refused_in_words(tmp_path, step, values, notes, error, words):
    with pytest.raises(error, match=words):
        write_checkpoint(tmp_path, step, values, notes)
    assert os.listdir(tmp_path) == []


def test_writing_the_same_again_changes_nothing(tmp_path):
    path = put(tmp_path, 5)
    before = path.stat().st_ino, path.stat().st_mtime_ns
    assert put(tmp_path, 5) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == before
    assert os.listdir(tmp_path) == ["step_00000005"]


def test_writing_a_step_again_replaces_it(tmp_path):
    names = []
    for variant in range(4):
        path = put(tmp_path, 5, variant)
        assert os.listdir(tmp_path) == [path.name]
        assert same(newest_checkpoint(tmp_path)[0], 5, variant)
        names.append(path.name)
    assert names == ["step_00000005", "step_000000005"] * 2


def test_a_damaged_checkpoint_is_replaced(tmp_path):
    path = put(tmp_path, 5)
    flip(path / "state.npz", 1000)
    path = put(tmp_path, 5)
    assert os.listdir(tmp_path) == [path.name]
    assert same(read_checkpoint(path), 5)


def test_the_newest_stay_when_old_ones_are_collected(tmp_path):
    for step in (1, 2, 3, 5, 8):
        put(tmp_path, step)
    collect(tmp_path, 2, 5)
    assert checkpoint_steps(tmp_path) == [3, 5, 8]
    collect(tmp_path, 3, 8)
    assert checkpoint_steps(tmp_path) == [3, 5, 8]
    flip(tmp_path / "step_00000008" / "state.npz", 99)
    collect(tmp_path, 1, 8)
    assert checkpoint_steps(tmp_path) == [5, 8]
    flip(tmp_path / "step_00000005" / "manifest.json", 99)
    collect(tmp_path, 1, 8)
    assert checkpoint_steps(tmp_path) == [5, 8]  # none is intact, so none is deleted
    assert sorted(os.listdir(tmp_path)) == ["step_00000005", "step_00000008"]
    with pytest.raises(ValueError, match="keep must be at least 1, got 0"):
        collect(tmp_path, 0, 8)


def test_what_looks_like_a_leftover_of_others_stays(tmp_path):
    for name in (".tmp-thesis", ".trash-1", ".tmp-12-xyz"):
        (tmp_path / name).mkdir()
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_leftovers_are_swept_and_nothing_else(tmp_path):
    path = put(tmp_path / "run", 1)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    shutil.copytree(path, tmp_path / "run" / ".tmp-1-0123456789abcdef" / "deep")
    shutil.copytree(path, tmp_path / "run" / ".trash-1-0123456789abcdef")
    (tmp_path / "run" / ".tmp-2-0123456789abcdef").touch()
    (tmp_path / "run" / ".tmp-3-0123456789abcdef").symlink_to(tmp_path / "precious")
    for name in (".lock", "network.fcnn", ".hidden"):
        (tmp_path / "run" / name).touch()
    sweep(tmp_path / "run")
    assert sorted(os.listdir(path.parent)) == [".hidden", ".lock", "network.fcnn", path.name]
    assert os.listdir(tmp_path / "precious") == ["file"]


def test_the_newest_intact_one_is_found_and_the_others_are_told(tmp_path):
    paths = [put(tmp_path, step) for step in (1, 2, 3)]
    numbers = np.random.Generator(np.random.Philox(0))
    for _ in range(100):
        count = int(numbers.integers(1, 3))
        contents = {}
        for path in paths[-count:]:
            file = path / FILES[int(numbers.integers(2))]
            contents[file] = file.read_bytes()
            flip(file, int(numbers.integers(8 * len(contents[file]))))
        newest, errors = newest_checkpoint(tmp_path)
        assert same(newest, 3 - count)
        assert [str(error).split(":")[0] for error in errors] == [*map(str, reversed(contents))]
        for file, content in contents.items():
            file.write_bytes(content)
    for path in paths:
        (path / "state.npz").unlink()
    newest, errors = newest_checkpoint(tmp_path)
    assert (newest, len(errors)) == (None, 3)


def test_a_checkpoint_deleted_while_it_is_read_is_not_missed(tmp_path, monkeypatch):
    for step in (1, 2):
        put(tmp_path, step)
    decode, deleted = manifest.decode, []

    def delete(data):
        if not deleted:
            deleted.append(shutil.rmtree(tmp_path / "step_00000002"))
            put(tmp_path, 3)
        return decode(data)

    monkeypatch.setattr(manifest, "decode", delete)
    newest, errors = newest_checkpoint(tmp_path)
    assert same(newest, 3)
    assert errors == []


WRITER = """if True:
    import sys
    sys.path.insert(0, sys.argv[2])
    import parts
    from fcnn.store.checkpoints import collect, write_checkpoint
    for i in range(10**9):
        step = i // 2  # each is written twice, with other values
        write_checkpoint(sys.argv[1], step, parts.values(step, i % 2), parts.notes(step, i % 2))
        collect(sys.argv[1], 1 + i % 3, step)
        if not i:
            print("begun", flush=True)
"""


@pytest.mark.parametrize("polls", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_reader_beside_a_writer_sees_no_torn_state(tmp_path, polls):
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(Path(parts.__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout.readline() == b"begun\n"
            steps = []
            for _ in range(polls):
                newest, errors = newest_checkpoint(tmp_path)
                assert errors == []
                assert same(newest, newest.step, newest.notes["variant"])
                steps.append(newest.step)
        finally:
            writer.kill()
    assert steps == sorted(steps)
    assert steps[-1] > steps[0]


READER = """if True:
    import re, sys
    from pathlib import Path
    from fcnn.store.checkpoints import read_checkpoint
    def kilobytes(name):
        return int(re.search(name + ":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
    read_checkpoint(sys.argv[1])
    before = kilobytes("VmRSS")
    read_checkpoint(sys.argv[2])
    print(kilobytes("VmHWM") - before)  # the most that there ever was
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
def test_reading_takes_no_more_than_twice_the_files(tmp_path):
    megabytes = 96
    values = {f"{i}": np.ones(2**18, np.float32) for i in range(megabytes)}
    large = write_checkpoint(tmp_path, 2, values, {})
    command = [sys.executable, "-c", READER, str(put(tmp_path, 1)), str(large)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert megabytes * 1024 < int(done.stdout) < (2 * megabytes + 24) * 1024
