"""One writer for a folder, and none after its death."""

import os
import signal
import subprocess
import sys

import pytest

from fcnn.store import CheckpointError, locks
from fcnn.store.locks import locked

pytestmark = pytest.mark.skipif(locks.fcntl is None, reason="needs flock")

HOLDER = """if True:
    import sys, time
    from fcnn.store.locks import locked
    with locked(sys.argv[1]):
        print("held", flush=True)
        time.sleep(60)
"""


def test_a_second_writer_hears_who_the_first_one_is(tmp_path):
    folder = tmp_path / "new" / "run"
    with locked(folder):
        with (
            pytest.raises(CheckpointError, match=f"{folder} is in use by process {os.getpid()}"),
            locked(folder),
        ):
            pytest.fail("two writers")
        with locked(tmp_path):
            pass  # another folder is another lock
    with locked(folder):
        pass
    assert os.listdir(folder) == [".lock"]


def test_the_lock_of_another_process_ends_with_its_death(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with (
                pytest.raises(CheckpointError, match=f"in use by process {holder.pid}; let it"),
                locked(tmp_path),
            ):
                pytest.fail("two writers")
        finally:
            holder.kill()
        holder.wait(timeout=30)
    assert holder.returncode == -signal.SIGKILL
    with locked(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_an_error_in_the_block_lifts_the_lock(tmp_path):
    with pytest.raises(KeyboardInterrupt), locked(tmp_path):
        raise KeyboardInterrupt
    with locked(tmp_path):
        pass


def test_a_holder_whose_number_is_not_there_is_another_process(tmp_path):
    with locked(tmp_path):
        (tmp_path / ".lock").write_text("x y")
        with pytest.raises(CheckpointError, match="in use by another process"), locked(tmp_path):
            pytest.fail("two writers")


def test_a_link_is_not_taken_for_a_lock(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(CheckpointError, match="cannot be locked"), locked(tmp_path):
        pytest.fail("a lock")
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(CheckpointError, match=r"file/run: cannot be locked: File exists"),
        locked(tmp_path / "file" / "run"),
    ):
        pytest.fail("a lock")


def test_without_flock_the_block_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    with locked(tmp_path), locked(tmp_path):
        pass
