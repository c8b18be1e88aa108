from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.jobs.job import Job, Origin
from runtime.jobs.stamp import SourceStamp
from runtime.stores.client import Found, ResultStamp
from runtime.stores.target import PutResults
from runtime.stores.url import StoreUrl


class Bucket:
    """Stores what is put."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, ResultStamp]] = {}

    def list(self, url: StoreUrl) -> dict[str, Found]:
        return {key: Found(size_bytes=0, etag="") for key in self.objects}

    def stamp(self, url: StoreUrl) -> ResultStamp:
        return self.objects[url.key][1]

    def put(self, path: Path, url: StoreUrl, stamp: ResultStamp) -> None:
        self.objects[url.key] = (path.read_bytes(), stamp)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture(params=["file", "object"])
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    """Parametrized over both kinds of source."""
    source = tmp_path / "a.png"
    source.write_bytes(b"source")
    origin = Origin(url="s3://b/in/a.png", etag="e", size_bytes=6)
    return Job(
        source=source,
        target=tmp_path / "staged.png",
        name="a.png",
        origin=origin if request.param == "object" else None,
        target_url="s3://b/out/a.png",
    )


def results(bucket: Any, *jobs: Job) -> PutResults:
    return PutResults.seen(bucket, StoreUrl("s3", "b", "out"), jobs)


def finish(bucket: Bucket, job: Job) -> None:
    job.target.write_bytes(b"result")
    stamp = SourceStamp.of(job.source)
    if job.origin:
        stamp = replace(stamp, etag=job.origin.etag)
    with results(bucket, job) as ledger:
        ledger.begin(job, stamp, "f")
        ledger.finish(job, stamp, "f")
    assert not job.target.exists()


def changed(job: Job) -> Job:
    job.source.write_bytes(b"SOURCE")
    return replace(job, origin=job.origin and replace(job.origin, etag="another"))


def test_done_until_something_changes(bucket: Bucket, job: Job) -> None:
    assert not results(bucket, job).is_done(job, "f")
    finish(bucket, job)
    ledger = results(bucket, job)
    assert ledger.is_done(job, "f")
    assert not ledger.is_done(job, "other settings")
    assert not ledger.is_foreign(job)
    assert not ledger.is_done(changed(job), "f")
    assert ledger.made_from(changed(job)) == "", "its own source, though changed"


def test_foreign(bucket: Bucket, job: Job) -> None:
    bucket.objects["out/a.png"] = (b"another's", ResultStamp())
    ledger = results(bucket, job)
    assert ledger.is_foreign(job)
    assert not ledger.is_done(job, "f")


def test_no_path_of_a_disk_is_told(bucket: Bucket, job: Job, tmp_path: Path) -> None:
    finish(bucket, job)
    assert str(tmp_path) not in bucket.objects["out/a.png"][1].as_text()


def test_the_result_of_another_picture(bucket: Bucket, job: Job, tmp_path: Path) -> None:
    finish(bucket, job)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.png").write_bytes(b"other")
    origin = job.origin and Origin(url="s3://c/a.png", etag="another", size_bytes=5)
    other = replace(job, source=tmp_path / "other/a.png", origin=origin)
    expected = job.origin.url if job.origin else "of another folder"
    assert results(bucket, other).made_from(other) == expected
    assert results(bucket, other, job).made_from(other) == job.place, "one of this run"
