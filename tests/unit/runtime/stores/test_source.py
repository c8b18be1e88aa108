from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import Cancelled, TargetError
from runtime.jobs.job import Job, Origin
from runtime.jobs.stamp import SourceStamp
from runtime.stores.source import Objects
from runtime.stores.url import StoreUrl


class Bucket:
    """Its objects hold their own keys."""

    def fetch(self, url: StoreUrl, path: Path) -> SourceStamp:
        if url.key == "gone":
            raise FileNotFoundError("Object at location gone not found")
        if url.key == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_bytes(url.key.encode())
        return SourceStamp(size_bytes=4, mtime_ns=0, sha256="", path=str(url), etag="e")


def job(folder: Path, key: str) -> Job:
    origin = Origin(url=f"s3://b/{key}", etag="e", size_bytes=4)
    return Job(source=folder / key, target=folder / "out", name=key, origin=origin)


def objects(staged_bytes: int = 10) -> Objects:
    bucket: Any = Bucket()
    return Objects(bucket, staged_bytes=staged_bytes)


def test_fetched_and_released(tmp_path: Path) -> None:
    source, one = objects(), job(tmp_path, "1234")
    assert source.fetch(one, threading.Event()).etag == "e"
    assert one.source.read_bytes() == b"1234"
    source.release(one)
    assert not one.source.exists()
    source.release(one)


def test_only_so_much_is_staged(tmp_path: Path) -> None:
    source, stop = objects(), threading.Event()
    first, second, third = (job(tmp_path, key) for key in ("1111", "2222", "3333"))
    source.fetch(first, stop)
    source.fetch(second, stop)
    fetched = threading.Event()

    def fetch() -> None:
        source.fetch(third, stop)
        fetched.set()

    thread = threading.Thread(target=fetch)
    thread.start()
    assert not fetched.wait(0.1)
    source.release(first)
    thread.join(60)
    assert fetched.is_set()
    stop.set()
    with pytest.raises(Cancelled):
        source.fetch(first, stop)


def test_a_picture_that_vanished_is_its_own_trouble(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="No such file"):
        objects().fetch(job(tmp_path, "gone"), threading.Event())


def test_a_full_disk_is_everybodys(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="TMPDIR"):
        objects().fetch(job(tmp_path, "full"), threading.Event())
