"""Distributes pictures to workers, and again after a worker was lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from runtime.jobs.job import Job

LONGEST = 32
"""Pictures in a chunk: enough that a worker's pipeline is mostly full."""

FATAL = 3
"""Number of workers that a picture may crash before it is abandoned."""


class Chunks:
    """Distributes jobs, and takes back those of lost workers.

    Args:
        jobs: what is to be done.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._fresh = deque(jobs)
        self._suspects: deque[Job] = deque()
        self._lost: dict[str, int] = {}
        self.left = len(jobs)
        """Jobs without a result."""

    @property
    def waiting(self) -> bool:
        """Whether there are chunks left."""
        return bool(self._fresh or self._suspects)

    def take(self, workers: int) -> list[Job]:
        """Return the next chunk; a single picture if it may have crashed a worker.

        Args:
            workers: among which the rest is divided.
        """
        if self._fresh:
            size = max(1, min(LONGEST, len(self._fresh) // (2 * max(1, workers))))
            return [self._fresh.popleft() for _ in range(size)]
        # Last, so that a picture that crashes workers does not hold up the others.
        return [self._suspects.popleft()] if self._suspects else []

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Return the jobs of a live worker to the queue."""
        self._fresh.extendleft(reversed(list(jobs)))

    def lose(self, jobs: Iterable[Job]) -> list[Job]:
        """Return a lost worker's unfinished jobs to the queue.

        Returns:
            The abandoned ones.
        """
        fatal = []
        for job in jobs:
            self._lost[job.name] = self._lost.get(job.name, 0) + 1
            if self._lost[job.name] >= FATAL:
                fatal.append(job)
            else:
                self._suspects.append(job)
        return fatal
