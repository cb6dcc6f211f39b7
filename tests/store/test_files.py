"""A file is written whole or not at all."""

import errno
import io
import os
import subprocess
import sys

import pytest

from fcnn.store import CheckpointError, files
from fcnn.store.files import write_file

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
@pytest.mark.parametrize("at", ["open", "write", "fsync", "replace"])
def test_a_failure_keeps_the_old_file_and_leaves_no_other(target, monkeypatch, at, error):
    def fail(*args, **options):
        raise OSError(error, os.strerror(error))

    class Full(io.FileIO):
        def writelines(self, pieces):
            self.write(pieces[0][:5])
            fail()

    match at:
        case "open":
            monkeypatch.setattr(files, "open", fail, raising=False)
        case "write":
            monkeypatch.setattr(files, "open", Full, raising=False)
        case _:
            monkeypatch.setattr(os, at, fail)
    with pytest.raises(CheckpointError, match=r"network\.fcnn: .*3,000 bytes are needed") as caught:
        write_file(target, NEW)
    assert os.strerror(error) in str(caught.value)
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == [target.name]


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
