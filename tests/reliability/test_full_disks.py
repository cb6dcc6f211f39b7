"""A disk that is full or fails costs a checkpoint; neither the older ones nor what was learned."""

import errno
import os
import re
import signal
import sys
import time
import warnings
from pathlib import Path

import pytest

import fcnn
from fcnn import dense, flatten, serial
from fcnn.store import CheckpointError
from fcnn.store.checkpoints import (
    checkpoint_paths,
    checkpoint_steps,
    newest_checkpoint,
    read_checkpoint,
)

from ..store import disks
from . import children
from .children import bands

ERRORS = [errno.ENOSPC, errno.EIO, errno.EACCES]
LIMITED = (
    "import sys; from tests.reliability.test_full_disks import limited; limited(*sys.argv[1:])"
)
MODEL = serial(flatten, dense(3))
LONG = 64  # epochs; more than there are operations for a checkpoint


def run(folder=None, epochs=2, **options):
    """A step an epoch, and a checkpoint after each."""
    options = {"epochs": epochs, "batch_size": 9, "progress": False, "keep": 1, **options}
    return fcnn.fit(MODEL, bands(9), checkpoint=folder, **options)


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """The state at each step of a run that nothing disturbs, and its result."""
    folder = tmp_path_factory.mktemp("golden")
    result = children.result(*run(folder, LONG, keep=1000))
    found = map(read_checkpoint, checkpoint_paths(folder))
    return {checkpoint.step: children.state(checkpoint) for checkpoint in found}, result


def temporaries(folder):
    return [name for name in os.listdir(folder) if name[0] == "." and name != ".lock"]


def operations(folder):
    """Where each checkpoint of a run begins to be written, in the record of all operations."""
    with pytest.MonkeyPatch.context() as patch:
        disk = disks.Disk(patch, folder)
        run(folder, 3)
    begins = [i for i, entry in enumerate(disk.log) if entry[:2][-1].startswith(".tmp-")]
    begins = [i for i in begins if disk.log[i][0] == "mkdir"]
    return begins, len(disk.log)


def test_a_run_that_only_warns_ends_the_same(tmp_path, golden):
    """Of each checkpoint another operation fails, so that at the end every one has failed."""
    states, result = golden
    begins, _ = operations(tmp_path / "recorded")
    count = begins[2] - begins[1]
    assert 15 < count < LONG
    failed = []
    for error in ERRORS:
        number = -1

        class Failing(disks.Disk):
            """Fails at the operation of a checkpoint that has the checkpoint's own number."""

            def note(self, name, path, *more):
                nonlocal number
                new = name == "mkdir" and str(path).startswith(".tmp-")
                self.at = 0 if new else getattr(self, "at", 10**6) + 1
                number += new
                super().note(name, path, *more)

        folder = tmp_path / errno.errorcode[error]
        with (
            pytest.MonkeyPatch.context() as patch,
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            disk = Failing(patch, folder, lambda *_: error if disk.at == number else 0)  # noqa: B023
            outcome = run(folder, LONG, on_save_error="warn")
        assert children.result(*outcome) == result
        failed += [entry[0] for entry in disk.failed]
        assert len(disk.failed) >= count
        said = [str(warning.message) for warning in caught]
        silent = sum(entry[0] == "read" for entry in disk.failed)  # of an older one: it stays
        assert len(disk.failed) - silent <= len(said) <= len(disk.failed)
        for text in said:
            assert text.startswith(f"the run goes on, although {folder}")
            assert os.strerror(error) in text
        newest, passed_over = newest_checkpoint(folder)
        assert passed_over == []
        assert children.state(newest) == states[newest.step] == states[LONG]
        assert temporaries(folder) == []
    assert {"mkdir", "create", "write", "fsync", "rename", "unlink", "rmdir"} <= set(failed)
    print(f"{len(failed)} failures, {count} operations a checkpoint, 3 errors")


@pytest.mark.parametrize("each", [1, pytest.param(len(ERRORS), marks=pytest.mark.slow)])
def test_a_run_that_raises_keeps_what_it_has_learned(tmp_path, golden, each):
    """Every operation fails once, with one error or with each."""
    states, _ = golden
    begins, total = operations(tmp_path / "recorded")
    count = 0
    for k in range(begins[1], begins[2]):
        for error in (ERRORS[k % len(ERRORS) :] + ERRORS)[:each]:
            folder = tmp_path / f"{k} {error}"
            with pytest.MonkeyPatch.context() as patch:
                disk = disks.Disk(patch, folder, lambda number, _, k=k, e=error: (number == k) * e)
                try:
                    run(folder, 3)
                    raised = None
                except CheckpointError as caught:
                    raised = caught
            [failed] = disk.failed
            if raised is None:
                assert failed[0] == "read"  # to verify what could be deleted, which then stays
            else:
                assert os.strerror(error) in str(raised)
                assert str(folder) in str(raised)
                if failed[0] in {"mkdir", "create", "write", "rename"} and ".tmp-" in failed[1]:
                    assert re.search(r"\([\d,]+ bytes are needed, [\d,]+ are free\)", str(raised))
                assert 2 <= len(raised.history) <= 3
                fcnn.evaluate(raised.network, bands(9))
            newest, passed_over = newest_checkpoint(folder)
            assert passed_over == []
            assert children.state(newest) == states[newest.step]
            assert temporaries(folder) == []
            count += 1
    print(f"{count} failures of {total} operations")


def limited(folder, count):
    """For a child: runs under limits on the size of files, within which they are too large."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    plain = children.result(*run())
    whole = Path(folder, "whole")
    run(whole, 1)
    size = max(file.stat().st_size for file in whole.glob("*/*"))
    for number in range(int(count)):
        place, limit = Path(folder, str(number)), number * size // int(count)

        def full(moment, limit=limit):
            if moment.row["epoch"] == 2:
                while not checkpoint_steps(place / policy):  # noqa: B023
                    time.sleep(0.001)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

        for policy in ("warn", "raise"):
            try:
                with warnings.catch_warnings(record=True, action="always") as said:
                    ended = run(place / policy, callbacks=[full], on_save_error=policy)
            except CheckpointError as error:
                said, ended = [error], (error.network, error.history)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            newest, _ = newest_checkpoint(place / policy)
            assert children.result(*ended) == plain
            assert newest.step == 1, newest.step
            assert temporaries(place / policy) == []
            assert len(said) == 1, said
            print(getattr(said[0], "message", said[0]))


@pytest.mark.parametrize("count", [3, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits on the size of files")
def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path, count):
    with children.start(LIMITED, tmp_path, count, programs=tmp_path / "programs") as child:
        lines = children.finished(child).splitlines()
    assert len(lines) == 2 * count
    for line in lines:
        assert "step_00000002: cannot be written: File too large (" in line
        assert re.search(r"\([\d,]+ bytes are needed, [\d,]+ are free\)", line)
