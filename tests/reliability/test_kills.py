"""A run that is killed, again and again, ends as if nothing had happened."""

import itertools
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fcnn.store.checkpoints import checkpoint_steps, newest_checkpoint

from . import children
from .children import KINDS, STEPS, TRAIN


def temporaries(folder):
    return [name for name in os.listdir(folder) if name[0] == "." and name != ".lock"]


def kill_again_and_again(kind, kills, root, states, result, programs):
    """Trains in folders below ``root``; says at which steps it was killed, and how often a kill
    left something half done.
    """
    numbers = np.random.Generator(np.random.Philox(key=[kills, KINDS.index(kind)]))
    folders = (root / f"{kind} {number}" for number in itertools.count())
    folder, at, killed, left = next(folders), 0, [], 0
    ends = False
    while len(killed) < kills or not ends:
        with children.start(TRAIN, kind, folder, 3, programs=programs) as child:
            if len(killed) < kills:
                moves = lambda: max(checkpoint_steps(folder), default=0) > at  # noqa: B023, E731
                children.comes(moves, child)
                time.sleep(numbers.uniform(0, 0.2))
                child.kill()
            out, err = child.communicate(timeout=120)
        ends = child.returncode == 0
        assert ends or child.returncode == -signal.SIGKILL, err[-3000:]
        newest, passed_over = newest_checkpoint(folder)
        assert passed_over == []
        assert children.state(newest) == states[newest.step]
        assert newest.step > at or ends
        at = newest.step
        if ends:
            assert at == STEPS
            assert out == result
            assert temporaries(folder) == []
            folder, at = next(folders), 0
        else:
            killed.append(at)
            left += bool(temporaries(folder))
    return killed, left


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_every_kill_leaves_a_checkpoint_and_the_run_ends_bit_for_bit(tmp_path_factory, kills):
    """Runs with data of both kinds, beside each other."""
    golden, programs = children.golden(tmp_path_factory.getbasetemp() / "golden")
    root = tmp_path_factory.mktemp("killed")

    def run(kind):
        return kill_again_and_again(kind, kills // 2, root, *golden[kind], programs / kind)

    with ThreadPoolExecutor(len(KINDS)) as pool:
        for kind, (killed, left) in zip(KINDS, pool.map(run, KINDS), strict=True):
            assert len(killed) == kills // 2
            assert len(set(killed)) > kills // 8
            print(f"{kind}: killed at {killed}, {left} times in the middle of a write")
