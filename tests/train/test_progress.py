import sys

import pytest

from fcnn.train.progress import Progress


def test_off_a_terminal_each_epoch_is_a_line(capsys):
    shown = Progress(12, 3)
    with shown.epoch(1) as bar:
        bar.step({"loss": 1.0}, 32)
    row = {"epoch": 1, "loss": 1.0, "validation_loss": 0.5, "seconds": 2.0, "rate": 1234.5}
    shown.row(row)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "epoch  1/12  loss 1.0000  validation loss 0.5000  2.0 s  1,234 examples/s\n"


def test_nothing_is_shown_where_nobody_asked(capsys):
    shown = Progress(1, 3, shown=False)
    shown.say("not said")
    shown.row({"epoch": 1, "loss": 1.0})
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_a_bar_follows_the_steps(capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = Progress(1, 3)
    assert shown.live
    with shown.epoch(1) as bar:
        for loss in (3.0, 2.0, 1.0):
            bar.step({"accuracy": 0.5, "loss": loss, "weight": 32.0, "finite": True}, 32)
        task = bar.bar.tasks[0]
    assert task.fields["status"].startswith("loss 3.0000  accuracy 0.5000")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Progress(1, 3).live
