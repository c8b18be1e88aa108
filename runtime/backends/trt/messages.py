"""TensorRT's log: one logger per process, and the only source of failure reasons."""

from __future__ import annotations

import re
import threading
from collections import deque
from typing import Any, Literal

Severity = Literal["internal error", "error", "warning", "info", "verbose"]

SEVERITIES: tuple[Severity, ...] = ("internal error", "error", "warning", "info", "verbose")
"""TensorRT's severities in its numbering, worst first."""

REMEMBERED: tuple[Severity, ...] = ("internal error", "error", "warning")
"""Severities that are kept; a build logs the others by the thousand."""

MEMORY_PHRASES = (
    "out of memory",
    "out_of_memory",
    "outofmemory",
    "insufficient memory",
    "bad_alloc",
    "cudaerrormemoryallocation",
    "failed to allocate memory",
)
"""Lower-case phrases when memory runs out: TensorRT 8.5 to 11, RTX, ONNX Runtime and CUDA."""

LEAST_SHORTAGE_BYTES = 16 << 20
"""Tactics that ask for less than this are skipped for another reason than the GPU's memory, such as
its shared memory or the workspace: TensorRT uses the same words, and goes on."""

_REQUESTED = re.compile(r"insufficient memory on requested size of (\d+)", re.IGNORECASE)

KEPT = 400
"""Number of messages kept; a failed build logs a few dozen."""


class Messages:
    """The latest messages of one TensorRT library. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[tuple[int, Severity, str]] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, severity: Severity, text: str) -> None:
        """Store a message if its severity explains failures; the oldest one is dropped."""
        if severity not in REMEMBERED:
            return
        with self._lock:
            self._kept.append((self._count, severity, text.strip()))
            self._count += 1

    def mark(self) -> int:
        """Return a position in the log, for :meth:`since`."""
        with self._lock:
            return self._count

    def since(self, mark: int, *severities: Severity) -> list[str]:
        """Return the messages after a mark without repeats, oldest first.

        Args:
            mark: position from :meth:`mark`.
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
        """Return the errors after a mark as one line; warnings if there are none."""
        said = self.since(mark) or self.since(mark, "warning")
        return "; ".join(said[-3:]) or "TensorRT gave no reason"

    def ran_out_of_memory(self, mark: int) -> bool:
        """Return whether any message after a mark reports a lack of memory.

        It is often a warning, or the first of several errors: the last one then says what failed
        for want of memory.
        """
        return says_out_of_memory(" ".join(self.since(mark, *REMEMBERED)))


def says_out_of_memory(text: str) -> bool:
    """Return whether a library's message reports a lack of the GPU's memory."""
    text = _REQUESTED.sub(_keep_if_large, text)
    return any(phrase in text.lower() for phrase in MEMORY_PHRASES)


def _keep_if_large(found: re.Match[str]) -> str:
    return found[0] if int(found[1]) >= LEAST_SHORTAGE_BYTES else ""


def make_logger(module: Any, messages: Messages) -> Any:
    """Create a TensorRT logger that forwards everything to `messages`."""

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, text: str) -> None:
            number = int(severity)
            messages.add(SEVERITIES[number] if number < len(SEVERITIES) else "verbose", text)

    return Logger()
