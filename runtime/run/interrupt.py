"""Work that Ctrl-C and other stop signals can end at any moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Protocol

GRACE_S = 1.0
"""Seconds after a signal for pictures being written; the command ends within two seconds."""


class Cancel(Protocol):
    """A callable that ends work from another thread."""

    def __call__(self, *, within_s: float) -> None:
        """End the work, waiting at most `within_s` seconds for clean-up."""


def run_interruptibly(run: Callable[[], None], cancel: Sequence[Cancel]) -> bool:
    """Run in a thread, so that signals always find the main thread free.

    Python handles signals in the main thread only, and not while that loads a model.

    Args:
        run: the work.
        cancel: called one after the other when it is interrupted.

    Returns:
        Whether it came to its end; otherwise it was interrupted, and the process must end.

    Raises:
        DggnError: what the work raised.
    """
    interrupted = threading.Event()
    errors: list[BaseException] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        interrupted.set()

    def work() -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # What the caller ignores, as nohup does, stays ignored.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive() and not interrupted.is_set():
        thread.join(0.05)
    if interrupted.is_set() and (thread.is_alive() or errors):
        for give_up in cancel:
            give_up(within_s=GRACE_S)
        return False
    if errors:
        raise errors[0]
    return True
