"""Sources in a store, downloaded ahead into a folder of limited size."""

from __future__ import annotations

import errno
import os
import threading

from runtime.errors import TargetError
from runtime.jobs.job import Job
from runtime.jobs.stamp import SourceStamp
from runtime.stores.client import ObjectStore
from runtime.stores.url import StoreUrl
from runtime.system.budget import Budget

FETCHERS = 8
STAGED_BYTES = 4 << 30
"""Fetched pictures that have no result yet; one is let through even if it is larger."""


class Objects:
    """Pictures of a bucket; see `jobs.ends.Source`.

    Args:
        store: the bucket.
        staged_bytes: at most so much is fetched ahead.
    """

    fetchers = FETCHERS

    def __init__(self, store: ObjectStore, *, staged_bytes: int = STAGED_BYTES) -> None:
        self._store = store
        self._budget = Budget(staged_bytes)
        self._staged: dict[str, int] = {}

    def fetch(self, job: Job, stop: threading.Event) -> SourceStamp:
        """Download the object when there is room for it."""
        assert job.origin is not None
        self._budget.take(job.origin.size_bytes, stop)
        self._staged[job.name] = job.origin.size_bytes
        url = StoreUrl.parse(job.origin.url)
        assert url is not None
        try:
            return self._store.fetch(url, job.source)
        except FileNotFoundError as error:
            # Like a vanished file, this is an error of that picture only.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), job.name) from error
        except OSError as error:
            raise TargetError(
                f"cannot keep what is fetched in {job.source.parent}: {error.strerror or error}. "
                "Set TMPDIR to a folder with room"
            ) from error

    def is_unchanged(self, job: Job, stamp: SourceStamp) -> bool:
        """Return True: the download is one version of the object."""
        return True

    def release(self, job: Job) -> None:
        """Remove the copy."""
        job.source.unlink(missing_ok=True)
        self._budget.give(self._staged.pop(job.name, 0))
