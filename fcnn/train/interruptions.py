"""Ctrl-C and SIGTERM, kept until a step is done."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """A signal has come, and what goes on is better left for another time."""


class Asked:
    """Whether the run was asked to end.

    Attributes:
        by: The number of the signal, if one has come.
    """

    def __init__(self) -> None:
        self.by: int | None = None
        self._former: dict[int, Any] = {}

    def check(self) -> None:
        """Ends what is under way if a signal has come.

        Raises:
            Interrupted: one has.
        """
        if self.by is not None:
            raise Interrupted

    def pass_on(self) -> None:
        """Does what would have been done for the signal without us: calls the handler that there
        was, or ends the process. Of Ctrl-C, the result of the run is all there is, where nobody
        has set another handler than Python's.

        Raises:
            SystemExit: the process ends by default, with 143 for SIGTERM.
        """
        if self.by is None or self._former[self.by] is signal.default_int_handler:
            return
        if self._former[self.by] == signal.SIG_DFL:
            raise SystemExit(128 + self.by)
        signal.raise_signal(self.by)

    def end_if_told(self, error: Exception) -> None:
        """Ends the process if SIGTERM has told it to, whatever went wrong meanwhile.

        Raises:
            SystemExit: it has, and nobody handles it otherwise.
        """
        if self.by == signal.SIGTERM:
            try:
                self.pass_on()
            except SystemExit as ending:
                raise ending from error

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.by = number
        for each, handler in self._former.items():  # a second signal does what it always does
            signal.signal(each, handler)


@contextlib.contextmanager
def listening(*signals: int) -> Iterator[Asked]:
    """Notes the first of these signals, in place of ending at once; the second one is not held up.

    Former handlers come back at the end. Signals reach the main thread only, so in others, and for
    signals that are ignored or handled by something that is not Python, nothing changes.
    """
    asked = Asked()
    if threading.current_thread() is threading.main_thread():
        for number in signals:
            if signal.getsignal(number) not in (None, signal.SIG_IGN):
                asked._former[number] = signal.getsignal(number)
    try:
        for number in asked._former:
            signal.signal(number, asked._note)
        yield asked
    finally:
        for number, handler in asked._former.items():
            signal.signal(number, handler)
