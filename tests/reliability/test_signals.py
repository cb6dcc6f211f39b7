"""Ctrl-C and SIGTERM end a run with a checkpoint of its last step, and it goes on bit for bit."""

import itertools
import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fcnn
from fcnn.cli import main
from fcnn.store.checkpoints import checkpoint_steps, newest_checkpoint
from fcnn.train import TrainState, looping
from fcnn.train.epochs import StepByStep

from . import children
from .children import KINDS, OF_EPOCH, STEPS, TRAIN

SIGNALS = [signal.SIGINT, signal.SIGTERM]
INTERRUPTED = "import sys; from tests.reliability.test_signals import interrupted, cli\n"


class Counter:
    """How many steps a run took, as its epochs under way say."""

    def __init__(self):
        self.steps = 0
        for kind in (looping.Pass, StepByStep):
            kind.advance = self.counted(kind.advance)

    def counted(self, advance):
        def counting(under_way, *most):
            taken = advance(under_way, *most)
            if isinstance(under_way.carry, TrainState):  # and not the data held out
                self.steps += taken
            return taken

        return counting


def interrupted(kind, root, *times):
    """For a child: trains on and on while signals come at random moments; prints what each left,
    and the result of each run that came to its end.
    """
    looping.SECONDS = 0  # a step a call, as with larger networks
    signal.signal(signal.SIGINT, signal.default_int_handler)
    counter, handlers = Counter(), [signal.getsignal(number) for number in SIGNALS]
    numbers = np.random.Generator(np.random.Philox(key=[sum(times), KINDS.index(kind)]))
    signals = numbers.permutation(np.repeat(SIGNALS, times)).tolist()
    folder, runs = Path(root) / "0", itertools.count(1)
    while True:
        sent, wanted = [], bool(signals)
        begun, delay = counter.steps, numbers.uniform(0, 0.1)
        over = threading.Event()

        def send(begun=begun, delay=delay, over=over, sent=sent):
            while counter.steps == begun and not over.is_set():
                time.sleep(0.001)
            time.sleep(delay)
            if begun < counter.steps < STEPS - 12 and not over.is_set():
                sent.append(time.perf_counter())
                os.kill(os.getpid(), signals[0])

        sender = threading.Thread(target=send)
        if wanted:
            sender.start()
        code = network = None
        try:
            network, history = children.train(kind, folder)
            if history.interrupted:
                code = 128 + signal.SIGINT
        except SystemExit as end:
            code = end.code
        seconds = time.perf_counter() - sent[0] if sent else None
        over.set()
        if wanted:
            sender.join()
        assert [signal.getsignal(number) for number in SIGNALS] == handlers
        if not sent:
            print(children.result(network, history), flush=True)
            if not wanted:
                return
            folder, counter.steps = Path(root) / str(next(runs)), 0
            continue
        newest, passed_over = newest_checkpoint(folder)
        assert not passed_over
        if network is not None:
            assert children.digest(network.params) == children.digest(fcnn.load(folder).params)
        state = children.state(newest)
        print(json.dumps([signals.pop(0), code, seconds, counter.steps, state]), flush=True)


@pytest.mark.parametrize("times", [(20, 20), pytest.param((100, 50), marks=pytest.mark.slow)])
def test_signals_leave_a_checkpoint_of_the_last_step(tmp_path_factory, times):
    """So many SIGINT and SIGTERM; runs with data of both kinds, beside each other."""
    golden, programs = children.golden(tmp_path_factory.getbasetemp() / "golden")

    def run(kind):
        root = tmp_path_factory.mktemp("interrupted")
        code = f"{INTERRUPTED}interrupted({kind!r}, sys.argv[1], *{[n // 2 for n in times]})"
        with children.start(code, root, programs=programs / kind) as child:
            return children.finished(child, 600)

    with ThreadPoolExecutor(len(KINDS)) as pool:
        outputs = [*pool.map(run, KINDS)]
    expected = {number: n // 2 for number, n in zip(SIGNALS, times, strict=True)}
    for kind, output in zip(KINDS, outputs, strict=True):
        states, result = golden[kind]
        found, slowest = [], 0.0
        for line in output.splitlines():
            number, *rest = json.loads(line)
            if isinstance(number, str):
                assert line == result.strip()
                continue
            code, seconds, steps, state = rest
            assert code == 128 + number
            assert seconds < 2
            assert state[0] == steps
            whole = steps % OF_EPOCH != 0  # else it may be in the look at the data held out
            assert state[: None if whole else 2] == states[steps][: None if whole else 2]
            found.append(number)
            slowest = max(slowest, seconds)
        assert line == result.strip()  # of the last run
        assert {number: found.count(number) for number in SIGNALS} == expected
        print(f"{kind}: {len(found)} signals, the slowest was answered after {slowest:.2f} s")


def test_sigterm_ends_the_process_with_143(tmp_path_factory, tmp_path):
    golden, programs = children.golden(tmp_path_factory.getbasetemp() / "golden")
    kind = KINDS[0]
    with children.start(TRAIN, kind, tmp_path, 3, programs=programs / kind) as child:
        assert children.comes(lambda: checkpoint_steps(tmp_path), child)
        begun = time.perf_counter()
        child.terminate()
        out, err = child.communicate(timeout=60)
        seconds = time.perf_counter() - begun
    assert child.returncode == 143, err
    assert out == err == ""
    assert seconds < 3
    newest, passed_over = newest_checkpoint(tmp_path)
    assert passed_over == []
    assert children.state(newest) == golden[kind][0][newest.step]
    print(f"exit code 143 after {seconds:.2f} s, at step {newest.step}")


def cli(*arguments, slow=None):
    """For a child: a command, in which writes wait for long once there is the file ``slow``."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    fsync = os.fsync

    def waits(file):
        if slow is not None and os.path.exists(slow):
            time.sleep(30)
        fsync(file)

    os.fsync = waits
    sys.exit(main(arguments))


def command(out, epochs):
    return ["train", "--model", "mlp", "--epochs", str(epochs), "--out", str(out)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run of the command in a child, and the folder of its programs."""
    out, programs = tmp_path_factory.mktemp("commands") / "run", tmp_path_factory.mktemp("programs")
    code = f"{INTERRUPTED}cli(*sys.argv[1:])"
    with children.start(code, *command(out, 60), programs=programs) as child:
        children.finished(child)
    return out, programs


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_command_that_is_interrupted_goes_on_bit_for_bit(undisturbed, tmp_path, times):
    whole, programs = undisturbed
    out, code = tmp_path / "run", f"{INTERRUPTED}cli(*sys.argv[1:])"
    arguments, numbers = command(out, 60), np.random.Generator(np.random.Philox(times))
    at, stops = 0, []
    while True:
        with children.start(code, *arguments, programs=programs) as child:
            moves = lambda: max(checkpoint_steps(out / "checkpoints"), default=0) > at  # noqa: B023, E731
            if len(stops) < times and children.comes(moves, child):
                time.sleep(numbers.uniform(0, 0.3))
                child.send_signal(signal.SIGINT)
            _, err = child.communicate(timeout=60)
        if child.returncode == 0:
            break
        assert child.returncode == 130, err
        assert f"to go on: fcnn train --resume --out {out}" in err
        at = max(checkpoint_steps(out / "checkpoints"))
        stops.append(at)
        assert (out / "network.fcnn").exists()
        assert not (out / "report.json").exists()
        arguments = ["train", "--resume", "--out", str(out)]
    assert stops
    one, two = (fcnn.load(folder / "network.fcnn") for folder in (whole, out))
    assert children.digest(one.params) == children.digest(two.params)
    one, two = (json.loads((folder / "report.json").read_text()) for folder in (whole, out))
    assert {**one, "seconds": 0} == {**two, "seconds": 0}
    print(f"interrupted at {stops}")


def test_a_second_ctrl_c_is_not_held_up_by_a_slow_disk(undisturbed, tmp_path):
    out, slow = tmp_path / "run", tmp_path / "slow"
    checkpoints = out / "checkpoints"
    code = f"{INTERRUPTED}cli(*sys.argv[2:], slow=sys.argv[1])"
    arguments = (slow, *command(out, 10**6))
    with children.start(code, *arguments, programs=undisturbed[1]) as child:
        assert children.comes(lambda: checkpoint_steps(checkpoints), child)
        slow.touch()
        assert children.comes(lambda: any(checkpoints.glob(".tmp-*/state.npz")), child)
        child.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert child.poll() is None
        begun = time.perf_counter()
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
        seconds = time.perf_counter() - begun
    assert child.returncode == 130, err
    assert "Traceback" not in err
    assert seconds < 5  # a second, where nothing else is going on; the disk takes longer
    newest, passed_over = newest_checkpoint(checkpoints)
    assert newest is not None
    assert passed_over == []
    print(f"ended after {seconds:.2f} s")
