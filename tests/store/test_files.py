"""A file is written whole or not at all."""

import errno
import os
import subprocess
import sys

import pytest

from fcnn.store import CheckpointError
from fcnn.store.files import make_directory, read_whole, remove, write_file, write_new

from . import disks

OLD, NEW = b"old" * 100, b"new" * 1000


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "network.fcnn"
    path.write_bytes(OLD)
    return path


def test_the_file_is_synced_before_it_replaces_and_its_directory_after(target, monkeypatch):
    log = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(fd):
        log.append("fsync directory" if os.path.isdir(f"/proc/self/fd/{fd}") else "fsync file")
        fsync(fd)

    def note_replace(source, goal):
        assert os.path.dirname(source) == os.path.dirname(goal)
        with open(source, "rb") as file:
            assert file.read() == NEW
        with open(goal, "rb") as file:
            assert file.read() == OLD
        log.append("replace")
        replace(source, goal)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_file(target, NEW[:7], memoryview(NEW)[7:])
    assert target.read_bytes() == NEW
    assert log == ["fsync file", "replace", "fsync directory"]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("at", ["create", "write", "fsync", "rename"])
def test_a_failure_keeps_the_old_file_and_leaves_no_other(target, monkeypatch, at, error):
    disks.Disk(monkeypatch, target.parent, lambda _, name: error if name == at else None)
    with pytest.raises(CheckpointError, match=r"network\.fcnn: .*3,000 bytes are needed") as caught:
        write_file(target, NEW)
    monkeypatch.undo()
    assert os.strerror(error) in str(caught.value)
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == [target.name]


def test_a_write_that_takes_a_part_is_gone_on_with(target, monkeypatch):
    write, counts = os.write, []

    def write_some(file, piece):
        counts.append(write(file, piece[:999]))
        return counts[-1]

    monkeypatch.setattr(os, "write", write_some)
    write_file(target, NEW, b"", memoryview(NEW))
    assert target.read_bytes() == NEW + NEW
    assert counts == [999, 999, 999, 3] * 2


def test_an_interrupt_keeps_the_old_file_and_leaves_no_other(target, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(target, NEW)
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == [target.name]


def test_a_full_disk_keeps_the_old_file(target):
    pytest.importorskip("resource")
    code = """if True:
        import resource, signal, sys
        from fcnn.store.files import CheckpointError, write_file
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_file(sys.argv[1], bytes(300_000))
        except CheckpointError as error:
            print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", code, str(target)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"{target}: cannot be written: File too large (300,000 bytes are needed" in run.stdout
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_the_mode_is_what_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "a", NEW)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_a_link(target, tmp_path):
    link = tmp_path / "latest"
    link.symlink_to(target)
    write_file(link, NEW)
    assert link.is_symlink()
    assert target.read_bytes() == NEW


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere/a\.fcnn: .*No such file or directory"):
        write_file(tmp_path / "nowhere" / "a.fcnn", NEW)


def test_a_long_name_leaves_room_for_the_temporary(tmp_path):
    name = "ü" * 120  # 240 bytes of 255
    write_file(tmp_path / name, NEW)
    assert os.listdir(tmp_path) == [name]


def test_a_new_file_never_replaces_one(target):
    with pytest.raises(FileExistsError):
        write_new(target, NEW)
    target.with_name("link").symlink_to(target.with_name("elsewhere"))
    with pytest.raises(FileExistsError):
        write_new(target.with_name("link"), NEW)
    assert target.read_bytes() == OLD
    assert not target.with_name("elsewhere").exists()


def test_a_file_is_read_if_its_size_is_right(target):
    seen = []
    for options in ({}, {"size": 300}, {"most": 300}, {"seen": seen.append}):
        assert read_whole(target, **options) == OLD
    assert b"".join(seen) == OLD
    with pytest.raises(ValueError, match="has 300 bytes, not 299"):
        read_whole(target, size=299)
    with pytest.raises(ValueError, match="has 300 bytes; 299 are allowed"):
        read_whole(target, most=299)
    target.with_name("link").symlink_to(target)
    for path in (target.parent, target.with_name("link")):
        with pytest.raises(ValueError, match="is a link, or no regular file"):
            read_whole(path)


def test_each_missing_directory_is_made_and_its_name_made_durable(tmp_path, monkeypatch):
    disk = disks.Disk(monkeypatch, tmp_path)
    make_directory(tmp_path / "a" / "b")
    make_directory(tmp_path / "a")
    changes = [entry for entry in disk.log if entry[0] != "open"]
    assert changes == [("mkdir", "a"), ("fsync", "."), ("mkdir", "a/b"), ("fsync", "a")]


def test_what_a_link_points_to_is_not_removed(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    for link in (tmp_path / "link", tmp_path / "folder" / "deep" / "link"):
        link.symlink_to(tmp_path / "precious")
    for name in ("link", "folder", "nothing"):
        remove(tmp_path / name)
    assert os.listdir(tmp_path) == ["precious"]
    assert os.listdir(tmp_path / "precious") == ["file"]
