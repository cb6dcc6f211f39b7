import signal
import threading

import numpy as np
import pytest

import fcnn
from fcnn import dense, dropout, flatten, serial
from fcnn.store.checkpoints import checkpoint_steps, newest_checkpoint
from fcnn.train import looping
from fcnn.train.interruptions import Asked, Interrupted, listening

from .parts import assert_equal, bands
from .test_looping import wrapped

MODEL = serial(flatten, dense(16), dropout(0.2), dense(3))
OPTIONS = {"batch_size": 8, "progress": False, "seed": 1}


def after(epoch, number=signal.SIGINT):
    """A callback that sends a signal after that epoch."""
    return lambda moment: signal.raise_signal(number) if moment.row["epoch"] == epoch else None


def test_ctrl_c_gives_the_network_as_it_is():
    data, handler = bands(37), signal.getsignal(signal.SIGINT)
    network, history = fcnn.fit(MODEL, data, epochs=9, callbacks=[after(2)], **OPTIONS)
    assert history.interrupted
    assert history.stopped == "interrupted in epoch 3, after 10 steps in all"
    assert len(history) == 2
    two, whole = fcnn.fit(MODEL, data, epochs=2, **OPTIONS)
    assert_equal(network.params, two.params)
    assert not whole.interrupted
    assert signal.getsignal(signal.SIGINT) is handler
    fcnn.evaluate(network, data)


def test_before_the_first_step_ctrl_c_does_what_it_always_does():
    data = bands(37)

    class Source:
        def __iter__(self):
            signal.raise_signal(signal.SIGINT)
            yield data.x, data.y

    with pytest.raises(KeyboardInterrupt):
        fcnn.fit(MODEL, Source(), **OPTIONS)


@pytest.mark.parametrize("kind", ["in memory", "read along the way"])
def test_a_run_interrupted_at_any_step_goes_on_bit_for_bit(kind, tmp_path, monkeypatch):
    """Twenty times, between any two steps and within the look at the data held out."""
    monkeypatch.setattr(looping, "SECONDS", 0)  # a step a call
    data = bands(300) if kind == "in memory" else wrapped(bands(300))
    options = {**OPTIONS, "epochs": 6, "validation": bands(30, seed=1)}
    whole, past = fcnn.fit(MODEL, data, **options)
    looks, draws = 0, np.random.default_rng(0)

    def check(asked):
        nonlocal looks
        looks -= 1
        if looks == 0:
            signal.raise_signal(signal.SIGINT)
        if asked.by is not None:
            raise Interrupted

    monkeypatch.setattr(Asked, "check", check)
    history, stops = None, []
    while history is None or history.interrupted:
        looks = draws.integers(1, 20) if len(stops) < 20 else -1
        network, history = fcnn.fit(MODEL, data, checkpoint=tmp_path, **options)
        if history.interrupted:
            newest, passed_over = newest_checkpoint(tmp_path)
            assert not passed_over
            assert_equal(newest.values["params"], network.params)
            stops.append(newest.step)
    assert len(stops) == 20
    assert stops == sorted(stops)
    assert_equal((network.params, history.best.params), (whole.params, past.best.params))
    for name in past.rows[0].keys() - {"seconds", "rate", "waited"}:
        assert history[name] == past[name]


def test_sigterm_saves_and_does_what_it_would_have_done(tmp_path):
    data, heard = bands(37), []
    former = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        options = {"epochs": 4, "checkpoint": tmp_path, **OPTIONS}
        _, history = fcnn.fit(MODEL, data, callbacks=[after(2, signal.SIGTERM)], **options)
        assert heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is not former
    finally:
        signal.signal(signal.SIGTERM, former)
    assert history.interrupted
    assert checkpoint_steps(tmp_path)[-1] == 10
    again, _ = fcnn.fit(MODEL, data, **options)
    assert_equal(again.params, fcnn.fit(MODEL, data, epochs=4, **OPTIONS)[0].params)


def test_by_default_sigterm_ends_the_process_with_143(tmp_path):
    with pytest.raises(SystemExit) as caught:
        fcnn.fit(
            MODEL, bands(37), epochs=4, checkpoint=tmp_path,
            callbacks=[after(1, signal.SIGTERM)], **OPTIONS,
        )  # fmt: skip
    assert caught.value.code == 143
    assert checkpoint_steps(tmp_path)[-1] == 5


def test_a_second_ctrl_c_is_not_held_up():
    with listening(signal.SIGINT) as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.by == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_other_threads_touch_no_handlers():
    handler, found = signal.getsignal(signal.SIGINT), []

    def train():
        found.append(fcnn.fit(MODEL, bands(37), epochs=2, **OPTIONS))
        found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert len(found[0][1]) == 2
    assert found[1] is handler


def test_ignored_signals_stay_ignored():
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with listening(signal.SIGINT) as asked:
            signal.raise_signal(signal.SIGINT)
            assert asked.by is None
    finally:
        signal.signal(signal.SIGINT, former)
