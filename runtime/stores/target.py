"""Results in a store, whose metadata records what they were made from."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from runtime.errors import TargetError
from runtime.jobs.job import Job
from runtime.jobs.stamp import SourceStamp
from runtime.stores.client import ObjectStore, ResultStamp, shortened
from runtime.stores.url import StoreUrl

ASKERS = 32
"""Requests for stamps at once."""


class PutResults:
    """The results of a run in a bucket, which needs no journal; see `jobs.ends.Ledger`.

    Args:
        store: the bucket.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._places: dict[str, str] = {}
        self._stamps: dict[str, ResultStamp] = {}

    @classmethod
    def seen(
        cls,
        store: ObjectStore,
        folder: StoreUrl,
        jobs: Sequence[Job],
        others: Sequence[Job] = (),
    ) -> PutResults:
        """List the existing objects, before anything is uploaded.

        Args:
            store: the bucket.
            folder: OUTPUT.
            jobs: what the run is to do.
            others: what other shards do.

        Raises:
            StoreError: the bucket is not there, or must not be read.
        """
        results = cls(store)
        results._look(folder, jobs, others)
        return results

    def _look(self, folder: StoreUrl, jobs: Sequence[Job], others: Sequence[Job]) -> None:
        store = self._store
        self._places = {_identity(job): job.place for job in (*jobs, *others)}
        listed = store.list(folder)
        # A listing shows what lies below OUTPUT, but not an object that is OUTPUT itself.
        keys = {*listed, folder.key}
        urls = [job.target_url for job in jobs if _url(job).key in keys]
        with ThreadPoolExecutor(ASKERS) as pool:
            stamps = pool.map(self._asked, urls)
            self._stamps = {
                url: stamp for url, stamp in zip(urls, stamps, strict=True) if stamp is not None
            }

    def _asked(self, url: str) -> ResultStamp | None:
        parsed = StoreUrl.parse(url)
        assert parsed is not None
        return self._store.stamp(parsed)

    def is_done(self, job: Job, fingerprint: str) -> bool:
        """Return whether an object is this result, by its metadata."""
        stamp = self._stamps.get(job.target_url)
        return stamp is not None and stamp.settings == fingerprint and _is_source(job, stamp)

    def is_foreign(self, job: Job) -> bool:
        """Return whether there is an object without our metadata."""
        return self._stamps.get(job.target_url) == ResultStamp()

    def made_from(self, job: Job) -> str:
        """Return the source of the existing object, if it is another one."""
        stamp = self._stamps.get(job.target_url, ResultStamp())
        if stamp.source in ("", _identity(job), shortened(_identity(job))):
            return ""
        if _is_source(job, stamp):
            return ""
        shown = "of another folder" if stamp.source.startswith("#") else stamp.source
        return self._places.get(stamp.source, shown)

    def begin(self, job: Job, source: SourceStamp, fingerprint: str) -> None:
        """Do nothing: it is invisible until it is complete."""

    def finish(
        self, job: Job, source: SourceStamp, fingerprint: str, *, output_bytes: int | None = None
    ) -> None:
        """Upload the result.

        Raises:
            StoreError: the store does not take it.
            TargetError: it vanished from the staging folder.
        """
        stamp = ResultStamp(
            settings=fingerprint, sha256=source.sha256, etag=source.etag, source=_identity(job)
        )
        try:
            self._store.put(job.target, _url(job), stamp)
            job.target.unlink()
        except OSError as error:
            raise TargetError(
                f"{job.target} cannot be read again: {error.strerror or error}"
            ) from error

    def __enter__(self) -> PutResults:
        return self

    def __exit__(self, *exception: object) -> None:
        """Do nothing: nothing is open."""


def _url(job: Job) -> StoreUrl:
    url = StoreUrl.parse(job.target_url)
    assert url is not None
    return url


def _identity(job: Job) -> str:
    """Return the identity of a source as stored with its result: never a local path."""
    return job.place if job.origin else shortened(job.place)


def _is_source(job: Job, stamp: ResultStamp) -> bool:
    """Return whether a result was made from the source's current content."""
    if job.origin:
        return bool(stamp.etag) and stamp.etag == job.origin.etag
    try:
        return SourceStamp.of(job.source).sha256 == stamp.sha256
    except OSError:
        return False
