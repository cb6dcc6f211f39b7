import os
import threading
import time

import jax
import numpy as np
import pytest

import fcnn
from fcnn import batch_norm, dense, dropout, flatten, serial
from fcnn.store import CheckpointError, checkpoints
from fcnn.store.checkpoints import (
    checkpoint_paths,
    checkpoint_steps,
    newest_checkpoint,
    read_checkpoint,
)
from fcnn.train import writing
from fcnn.train.writing import Writer

from .parts import assert_equal, bands
from .test_looping import wrapped

MODEL = serial(flatten, dense(32), batch_norm(), dropout(0.3), dense(3))
OPTIONS = {"epochs": 3, "batch_size": 8, "seed": 3, "every": 1, "keep": 1000, "progress": False}
STEPS, LONG = 3 * 5, 20  # steps of this run, and epochs of a longer one
KINDS = {"in memory": lambda data: data, "read along the way": wrapped}


def run(folder, kind="in memory", **options):
    return fcnn.fit(MODEL, KINDS[kind](bands(37)), checkpoint=folder, **OPTIONS | options)


def numbers(values):
    """Arrays of numpy in memory of their own."""
    values = {**values, "key": jax.random.key_data(values["key"])}
    return jax.tree.map(np.copy, jax.device_get(values))


@pytest.fixture(scope="module", params=KINDS)
def golden(request, tmp_path_factory):
    """What a run is at each step, fetched before the next one begins; and the kind of its data."""
    states = {}
    with pytest.MonkeyPatch.context() as patch:
        fetched = lambda self, step, values, notes: states.update({step: numbers(values)})  # noqa: E731
        patch.setattr(Writer, "write", fetched)
        run(tmp_path_factory.mktemp("golden"), request.param, epochs=LONG)
    assert list(states) == list(range(1, LONG * 5 + 1))
    return request.param, states


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_what_is_written_beside_the_steps_is_the_state_of_its_step(
    golden, times, tmp_path, monkeypatch
):
    """Slow writes: the steps have gone on, and have taken the buffers, when values are read."""
    kind, states = golden
    write = checkpoints.write_checkpoint

    def late(*arguments):
        time.sleep(0.03)
        return write(*arguments)

    monkeypatch.setattr(writing, "write_checkpoint", late)
    for number in range(times):
        run(tmp_path / str(number), kind)
        for path in (paths := checkpoint_paths(tmp_path / str(number))):
            found = read_checkpoint(path)
            assert_equal(numbers(found.values), states[found.step])
        assert len(paths) == STEPS


def test_writes_are_in_order_in_one_daemon_thread_at_a_time(tmp_path, monkeypatch):
    seen, write = [], checkpoints.write_checkpoint

    def noted(folder, step, *content):
        thread = threading.current_thread()
        assert thread.daemon
        assert thread is not threading.main_thread()
        seen.append(("begins", step))
        write(folder, step, *content)
        seen.append(("ends", step))

    monkeypatch.setattr(writing, "write_checkpoint", noted)
    run(tmp_path)
    assert seen == [(what, step) for step in range(1, STEPS + 1) for what in ("begins", "ends")]
    assert not [each for each in threading.enumerate() if each.name == "fcnn-checkpoint"]


def test_the_steps_go_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    """The end of the first write waits for a later step."""
    went_on, write = threading.Event(), checkpoints.write_checkpoint
    took = fcnn.train.running.Run._save

    def saved(self):
        if self.at.step > 5:
            went_on.set()
        took(self)

    def waits(folder, step, *content):
        assert went_on.wait(30)
        write(folder, step, *content)

    monkeypatch.setattr(fcnn.train.running.Run, "_save", saved)
    monkeypatch.setattr(writing, "write_checkpoint", waits)
    run(tmp_path, every=None)
    assert checkpoint_steps(tmp_path) == [5, 10, 15]


@pytest.mark.parametrize("error", [MemoryError("no room"), ZeroDivisionError("by zero")])
def test_any_error_of_the_thread_reaches_the_run(error, tmp_path, monkeypatch):
    write = checkpoints.write_checkpoint

    def fails(folder, step, *content):
        if step == 7:
            raise error
        write(folder, step, *content)

    monkeypatch.setattr(writing, "write_checkpoint", fails)
    with pytest.raises(CheckpointError, match=rf"{tmp_path}, step 7: .*{error}") as caught:
        run(tmp_path)
    assert caught.value.__cause__ is error
    assert checkpoint_steps(tmp_path)[-1] == 6
    assert len(caught.value.history) == 1
    fcnn.evaluate(caught.value.network, bands(21))


def test_two_runs_in_one_folder_are_one_too_many(tmp_path):
    errors = []

    def second(moment):
        with pytest.raises(CheckpointError, match=f"in use by process {os.getpid()}") as caught:
            run(tmp_path)
        errors.append(caught.value)

    run(tmp_path, callbacks=[second])
    assert len(errors) == 3
    assert checkpoint_steps(tmp_path) == list(range(1, STEPS + 1))


@pytest.mark.parametrize("polls", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_reader_beside_the_run_sees_whole_states_only(golden, polls, tmp_path):
    kind, states = golden
    seen, problems = [], []

    def poll(folder, over):
        while not over.is_set():
            newest, passed_over = newest_checkpoint(folder)
            problems.extend(passed_over)
            if newest is None:
                continue
            seen.append(newest.step)
            try:
                assert_equal(numbers(newest.values), states[newest.step])
            except Exception as error:  # else it would end with the thread
                problems.append(error)

    while (before := len(seen)) < polls:
        folder, over = tmp_path / str(before), threading.Event()
        reader = threading.Thread(target=poll, args=(folder, over))
        reader.start()
        try:
            run(folder, kind, epochs=LONG, keep=2)
        finally:
            over.set()
            reader.join()
        assert problems == []
        assert seen[before:] == sorted(seen[before:])
    assert len(set(seen)) > 20
    print(f"{len(seen)} polls, {len(set(seen))} states")


def test_what_the_steps_found_is_not_copied_on_the_device(tmp_path, monkeypatch):
    """It is longer after each step: there would be a program to compile for every one."""
    shapes, copied = [], writing.copied

    def noted(leaves):
        shapes.append(tuple(leaf.shape for leaf in leaves))
        return copied(leaves)

    monkeypatch.setattr(writing, "copied", noted)
    run(tmp_path)
    assert len(shapes) == STEPS
    assert len(set(shapes)) <= 2  # with the best network so far, and without
