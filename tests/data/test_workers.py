"""Threads change when batches are made, and nothing else."""

import gc
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest

from fcnn.data import Dataset, arrays, batches
from fcnn.data.workers import Ahead, workers_for


class Column:
    """Numbers that take their time, and note who reads them."""

    def __init__(self, n, wait=0.0, bad=()):
        self.n, self.wait, self.bad = n, wait, bad
        self.threads, self.reads, self.at_once, self.most = set(), [], 0, 0

    shape = property(lambda self: (self.n, 2))
    dtype = np.dtype(np.float32)

    def __len__(self):
        return self.n

    def take(self, rows, axis=0):
        raise NotImplementedError

    def __getitem__(self, rows):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.threads.add(threading.current_thread().name)
        self.reads += np.atleast_1d(rows).tolist()
        time.sleep(self.wait * (1 + rows[0] % 3))
        for row in rows:
            if row in self.bad:
                raise ValueError(f"example {row} is broken")
        self.at_once -= 1
        return np.stack([rows, -rows], -1).astype(np.float32)


class Source:
    """A source of one's own, with the same numbers."""

    def __init__(self, column):
        self.column = column

    def __len__(self):
        return len(self.column)

    def __getitem__(self, rows):
        return self.column[rows], rows


def dataset(column):
    return Dataset(column, np.arange(len(column)))


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fcnn-data")]


def ended(seconds=5.0):
    until = time.monotonic() + seconds
    while threads() and time.monotonic() < until:
        time.sleep(0.005)
    return not threads()


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    yield
    gc.collect()
    assert ended()


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("kind", [dataset, Source])
def test_batches_are_the_same_with_any_number_of_threads(workers, kind):
    column = Column(41, wait=0.001)
    options = {"seed": 3, "epoch": 2}
    expected = list(batches(kind(Column(41)), 4, **options))
    made = list(batches(kind(column), 4, workers=workers, **options))
    assert len(made) == len(expected) == 11
    for one, other in zip(made, expected, strict=True):
        assert list(one) == list(other)
        for name in one:
            assert one[name].dtype == other[name].dtype
            np.testing.assert_array_equal(one[name], other[name])
    assert sorted(column.reads) == sorted([*range(41), *made[-1]["index"][1:].tolist()])
    assert threading.current_thread().name not in column.threads


def test_several_threads_read_a_column_and_one_a_source_of_ones_own():
    column, foreign = Column(60, wait=0.002), Column(60, wait=0.002)
    list(batches(dataset(column), 2, workers=4))
    list(batches(Source(foreign), 2, workers=4))
    assert len(column.threads) == 4
    assert (len(foreign.threads), foreign.most) == (1, 1)


def test_few_batches_are_made_ahead():
    column = Column(400)
    made = batches(dataset(column), 4, workers=2)
    next(made)
    time.sleep(0.1)
    assert len(column.reads) <= 4 * 5
    made.close()


def test_nothing_is_read_before_it_is_asked_for():
    column = Column(40)
    made = batches(dataset(column), 4, workers=2)
    assert not threads()
    assert column.reads == []
    made.close()


def test_without_workers_nothing_is_ready_and_there_are_no_threads():
    made = batches(dataset(Column(40)), 4)
    assert not made.ready
    next(made)
    assert not made.ready
    assert not threads()


def test_what_is_ready_need_not_be_waited_for():
    go = threading.Event()
    made = Ahead(lambda number: go.wait(5) and number, range(1, 3), 1)
    assert not made.ready
    go.set()
    until = time.monotonic() + 5
    while not made.ready and time.monotonic() < until:
        time.sleep(0.001)
    assert made.ready
    assert list(made) == [1, 2]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_comes_in_its_place_with_its_batch_and_its_traceback(workers):
    made = batches(dataset(Column(40, bad=[21])), 4, workers=workers)
    for _ in range(5):
        next(made)
    with pytest.raises(ValueError, match="example 21 is broken") as caught:
        next(made)
    assert caught.value.__notes__ == ["in batch 5, counted from 0"]
    assert "__getitem__" in [
        frame.name for frame in traceback.extract_tb(caught.value.__traceback__)
    ]
    assert list(made) == []
    assert ended()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_source_that_stops_early_does_not_end_the_epoch_in_silence(workers):
    class Short(Column):
        def __getitem__(self, rows):
            return next(iter(()))

    with pytest.raises(RuntimeError, match="batch 0 could not be made"):
        list(batches(Source(Short(8)), 4, workers=workers))


@pytest.mark.parametrize("way", ["close", "forget", "interrupt", "error in the loop"])
def test_threads_end_when_nobody_wants_more(way):
    made = batches(dataset(Column(10_000, wait=0.001)), 2, workers=4)
    next(made)
    assert 1 <= len(threads()) <= 4
    if way == "close":
        made.close()
        assert list(made) == []
    elif way == "forget":
        del made
    elif way == "interrupt":
        interrupted(made)
    else:
        loops(made)
        del made
    gc.collect()
    assert ended(1.0)


def interrupted(made):
    def interrupt(number):
        raise KeyboardInterrupt

    made._make = interrupt
    while not isinstance(made._begun[-1][1].exception(), KeyboardInterrupt):
        next(made)
    with pytest.raises(KeyboardInterrupt):
        list(made)


def loops(made):
    try:
        for _ in made:
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass


def test_an_interpreter_ends_with_an_epoch_half_read():
    code = (
        "import numpy as np\n"
        "from fcnn.data import arrays, batches\n"
        "made = batches(arrays(np.zeros((10_000, 8)), np.zeros(10_000, int)), 4, workers=3)\n"
        "print(next(made)['x'].shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr, done.returncode) == ("(4, 8)\n", "", 0)


@pytest.mark.parametrize(
    ("workers", "error", "words"),
    [
        (-1, ValueError, "workers must be at least 0, got -1"),
        (1.0, TypeError, "workers must be an integer, a number of threads, got 1.0"),
        (True, TypeError, "got True"),
    ],
)
def test_impossible_numbers_of_threads_are_refused(workers, error, words):
    with pytest.raises(error, match=words):
        batches(dataset(Column(4)), 2, workers=workers)


def test_threads_are_for_what_is_read_and_not_for_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    x = np.zeros((4, 2), np.float32)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert workers_for(arrays(x, np.arange(4))) == 0
    assert workers_for(arrays(mapped, np.arange(4))) == 3
    assert workers_for(dataset(Column(4))) == 3
    assert workers_for(dataset(Column(4)), 7) == 7
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert workers_for(dataset(Column(4))) == 4


def test_an_impossible_number_of_threads_is_one_error_and_no_other():
    with pytest.raises(ValueError, match="max_workers"):
        Ahead(int, range(3), -1)
