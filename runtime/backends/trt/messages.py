"""TensorRT's log: one logger for the whole process, and the only source of reasons."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Literal

Severity = Literal["internal error", "error", "warning", "info", "verbose"]

SEVERITIES: tuple[Severity, ...] = ("internal error", "error", "warning", "info", "verbose")
"""In TensorRT's numbering, worst first."""

REMEMBERED: tuple[Severity, ...] = ("internal error", "error", "warning")
"""The others come by the thousand in a build, and would push these out."""

MEMORY_PHRASES = (
    "out of memory",
    "out_of_memory",
    "outofmemory",
    "insufficient memory",
    "bad_alloc",
    "cudaerrormemoryallocation",
    "failed to allocate memory",
)
"""Phrases, in lower case, when memory runs out: of TensorRT 8.5 to 11, RTX, ONNX Runtime, CUDA."""

KEPT = 400
"""Messages that are remembered; a failed build says a few dozen."""


class Messages:
    """The latest messages of one TensorRT library. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[tuple[int, Severity, str]] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, severity: Severity, text: str) -> None:
        """Remember a message, if it is of a kind that explains failures; the oldest one goes."""
        if severity not in REMEMBERED:
            return
        with self._lock:
            self._kept.append((self._count, severity, text.strip()))
            self._count += 1

    def mark(self) -> int:
        """A point in time, for :meth:`since`."""
        with self._lock:
            return self._count

    def since(self, mark: int, *severities: Severity) -> list[str]:
        """Messages after a mark, each once, oldest first.

        Args:
            mark: as :meth:`mark` gave it.
            severities: only these; by default errors of both kinds.
        """
        wanted = severities or ("internal error", "error")
        with self._lock:
            texts = [text for number, severity, text in self._kept if number >= mark]
            kinds = [severity for number, severity, _ in self._kept if number >= mark]
        said = dict.fromkeys(
            text for text, kind in zip(texts, kinds, strict=True) if kind in wanted
        )
        return list(said)

    def reason(self, mark: int) -> str:
        """Errors after a mark as one line, for an error message; warnings where there are none."""
        said = self.since(mark) or self.since(mark, "warning")
        return "; ".join(said[-3:]) or "TensorRT gave no reason"

    def ran_out_of_memory(self, mark: int) -> bool:
        """Whether any message after a mark says so.

        It is often a warning, or the first of several errors: the last one then says what failed
        for want of memory.
        """
        return says_out_of_memory(" ".join(self.since(mark, *REMEMBERED)))


def says_out_of_memory(text: str) -> bool:
    """Whether a library's message means that memory ran out."""
    return any(phrase in text.lower() for phrase in MEMORY_PHRASES)


def make_logger(module: Any, messages: Messages) -> Any:
    """A logger object for a TensorRT module that hands everything on to `messages`."""

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, text: str) -> None:
            number = int(severity)
            messages.add(SEVERITIES[number] if number < len(SEVERITIES) else "verbose", text)

    return Logger()
