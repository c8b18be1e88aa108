"""A TensorRT progress monitor that shows and cancels builds."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from runtime.system.terminal import OnProgress


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Phases:
    """TensorRT's nested phases as one progress value. Thread-safe.

    A phase is one step of its parent, so its own share is a part of that step.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, _Phase] = {}
        self._furthest = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Start a phase."""
        with self._lock:
            self._open[name] = _Phase(parent=parent or None, steps=max(1, steps))

    def step(self, name: str, number: int) -> None:
        """Record that a step of a phase, counted from 0, is done."""
        with self._lock:
            phase = self._open.get(name)
            if phase is not None:
                phase.done = min(phase.steps, max(phase.done, number + 1))

    def finish(self, name: str) -> None:
        """Finish a phase; its parent receives a step of its own."""
        with self._lock:
            self._open.pop(name, None)

    @property
    def share(self) -> float:
        """Return the completed share of the build, which never decreases."""
        with self._lock:
            tops = [name for name, phase in self._open.items() if phase.parent not in self._open]
            self._furthest = max([self._furthest, *(self._share(name, 0) for name in tops)])
            return self._furthest

    def _share(self, name: str, depth: int) -> float:
        phase = self._open[name]
        inner = [
            self._share(other, depth + 1)
            for other, one in self._open.items()
            if one.parent == name and other != name and depth < 16
        ]
        return min(1.0, (phase.done + max(inner, default=0.0)) / phase.steps)


def make_monitor(module: Any, on_progress: OnProgress, cancelled: threading.Event) -> Any:
    """Create a progress monitor, for a TensorRT module that supports them.

    Args:
        module: the TensorRT package.
        on_progress: called from threads of TensorRT; it must not raise.
        cancelled: once set, the build ends at its next step.
    """
    phases = Phases()

    class Monitor(module.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            phases.start(phase_name, parent_phase, num_steps)
            on_progress(phase_name, phases.share)

        def step_complete(self, phase_name: str, step: int) -> bool:
            phases.step(phase_name, step)
            on_progress(phase_name, phases.share)
            return not cancelled.is_set()

        def phase_finish(self, phase_name: str) -> None:
            phases.finish(phase_name)

    return Monitor()
