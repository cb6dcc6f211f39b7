"""Killed at any moment, in any order of events: an older checkpoint or the new one is whole."""

import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fcnn.store import CheckpointError
from fcnn.store.checkpoints import (
    checkpoint_steps,
    collect,
    newest_checkpoint,
    read_checkpoint,
    sweep,
)
from fcnn.store.locks import locked

from . import disks, parts
from .parts import put, same, temporaries

WRITER = """if True:
    import sys
    sys.path.insert(0, sys.argv[2])
    import parts
    from fcnn.store.checkpoints import collect, newest_checkpoint, sweep, write_checkpoint
    from fcnn.store.locks import locked
    with locked(sys.argv[1]):
        sweep(sys.argv[1])
        newest, errors = newest_checkpoint(sys.argv[1])
        assert not errors, errors
        step = newest.step if newest else 0
        while True:
            step += 1
            write_checkpoint(sys.argv[1], step, parts.values(step), parts.notes(step))
            print(step, flush=True)
            collect(sys.argv[1], 2, step)
"""


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_killed_writer_leaves_a_checkpoint_that_loads(tmp_path, kills):
    command = [sys.executable, "-c", WRITER, "", str(Path(parts.__file__).parent)]
    numbers, left = np.random.Generator(np.random.Philox(kills)), 0
    folders = [tmp_path / "a", tmp_path / "b"]  # two children at a time

    def start(folder):
        command[3] = str(folder)
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    children, last = {folder: start(folder) for folder in folders}, dict.fromkeys(folders, 0)
    for kill, folder in enumerate(itertools.islice(itertools.cycle(folders), kills)):
        with children.pop(folder) as child:
            first = child.stdout.readline()
            time.sleep(numbers.uniform(0, 0.05))
            child.kill()
            printed = [first, *child.stdout.readlines()]
        assert child.returncode == -9
        left += bool(temporaries(folder))
        newest, errors = newest_checkpoint(folder)
        assert errors == []
        assert same(newest, newest.step)
        assert newest.step >= int(printed[-1]) > last[folder]
        last[folder] = newest.step
        if kill < kills - 2:
            children[folder] = start(folder)
    for folder in folders:
        with locked(folder):
            sweep(folder)
        assert temporaries(folder) == []
    print(f"{kills} kills, {left} of them left temporaries, steps {[*last.values()]}")


class Killed(BaseException):
    """Stands for SIGKILL: from a certain operation on nothing is done any more."""


class Folder(RuleBasedStateMachine):
    """What a folder of checkpoints holds, beside a dict that says what it should hold."""

    root = None

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.root)) / "run"
        self.there = {}  # step: variant, or None where it is damaged

    def intact(self, upto=10**9):
        return [s for s, variant in self.there.items() if variant is not None and s <= upto]

    def done(self, action, killed):
        """Does it, or its first ``killed`` operations."""
        with pytest.MonkeyPatch.context() as patch:
            disks.Disk(patch, self.folder, lambda k, _: Killed() if k >= killed else 0)
            try:
                action()
            except Killed:
                return False
        return True

    @rule(step=st.integers(0, 6), variant=st.integers(0, 2))
    def write(self, step, variant):
        put(self.folder, step, variant)
        self.there[step] = variant

    @rule(step=st.integers(0, 6), variant=st.integers(0, 2), killed=st.integers(0, 30))
    def write_and_be_killed(self, step, variant, killed):
        before = [self.variant(path) for path in self.directories(step)]
        if self.done(lambda: put(self.folder, step, variant), killed):
            self.there[step] = variant
            return
        after = [self.variant(path) for path in self.directories(step)]
        assert {*after} <= {*before, variant}
        intact = [variant for variant in after if variant is not None]
        assert intact or {*before} <= {None}
        if after:  # of two the one with the longer name is read first
            self.there[step] = intact[-1] if intact else None

    @precondition(lambda self: self.there)
    @rule(data=st.data(), name=st.sampled_from(["state.npz", "manifest.json"]))
    def corrupt(self, data, name):
        step = data.draw(st.sampled_from(sorted(self.there)))
        for path in self.directories(step):
            content = bytearray((path / name).read_bytes())
            at = data.draw(st.integers(0, len(content) - 1))
            content[at] = (content[at] + 1) % 256
            (path / name).write_bytes(content)
        self.there[step] = None

    @rule(keep=st.integers(1, 3), upto=st.integers(0, 6), killed=st.integers(0, 60))
    def collect(self, keep, upto, killed):
        intact = self.intact(upto)
        steps = sorted(step for step in self.there if intact and step <= max(intact))
        gone = {step for step in steps if step not in steps[-keep:]}
        if self.done(lambda: collect(self.folder, keep, upto), killed):
            assert not gone & {*checkpoint_steps(self.folder)}
        stays = {*checkpoint_steps(self.folder)}
        assert {*self.there} - gone <= stays <= {*self.there}
        self.there = {step: self.there[step] for step in stays}

    @precondition(lambda self: self.folder.is_dir())
    @rule()
    def sweep(self):
        sweep(self.folder)
        assert temporaries(self.folder) == []

    def directories(self, step):
        return sorted(self.folder.glob(f"step_*{step:08}"), key=lambda path: len(path.name))

    def variant(self, path):
        try:
            return read_checkpoint(path).notes["variant"]
        except CheckpointError:
            return None

    @invariant()
    def the_newest_intact_one_is_found(self):
        newest, errors = newest_checkpoint(self.folder)
        assert checkpoint_steps(self.folder) == sorted(self.there)
        intact = self.intact()
        if not intact:
            assert newest is None
        else:
            assert same(newest, max(intact), self.there[max(intact)])
        assert len(errors) >= sum(step > max(intact, default=-1) for step in self.there)


@pytest.mark.parametrize("examples", [50, pytest.param(200, marks=pytest.mark.slow)])
def test_any_sequence_of_events_leaves_what_it_should(tmp_path, monkeypatch, examples):
    monkeypatch.setattr(Folder, "root", tmp_path)
    run_state_machine_as_test(
        Folder,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
        ),
    )
