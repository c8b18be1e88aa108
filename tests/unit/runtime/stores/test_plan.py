from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.codecs.output import OutputSettings
from runtime.errors import ConfigError
from runtime.jobs.job import Plan
from runtime.stores.client import Found
from runtime.stores.plan import plan_with_stores, sorted_out
from runtime.stores.staging import Staging
from runtime.stores.url import StoreUrl

FOUND = Found(size_bytes=3, etag="e")


class Listed:
    """A bucket with these keys."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def find(self, url: StoreUrl) -> Found | None:
        return FOUND if url.key in self.keys else None

    def list(self, url: StoreUrl) -> dict[str, Found]:
        return {key: FOUND for key in self.keys if key.startswith(f"{url.key}/" if url.key else "")}


@pytest.fixture
def staging() -> Iterator[Staging]:
    with Staging() as folder:
        yield folder


def at(text: str) -> StoreUrl | Path:
    return StoreUrl.parse(text) or Path(text)


def planned(source: str, target: str, staging: Staging, *keys: str, suffix: str = "") -> Plan:
    store: Any = Listed(*keys)
    settings = OutputSettings()
    return plan_with_stores(
        at(source), at(target), settings, suffix=suffix, staging=staging, store=store
    )


def test_what_is_no_picture_is_counted() -> None:
    names = ["a.png", "b/c.JPG", "notes.txt", "folder/", ".x/a.png", "@eaDir/a.png", "a/../b.png"]
    found = sorted_out(dict.fromkeys(names, FOUND))
    assert [str(path) for path in found.pictures] == ["a.png", "b/c.JPG"]
    assert (found.other, found.hidden, found.system) == (1, 1, 1)
    assert [name for name, _ in found.unreadable] == ["folder/", "a/../b.png"]


def test_videos_are_planned_where_they_can_be_read(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.stores.plan.can_read_clips", lambda: True)
    plan = planned("s3://b/in", "s3://c/out", staging, "in/a.png", "in/b.avi")
    assert [job.target_url for job in plan.jobs] == ["s3://c/out/a.png", "s3://c/out/b.mkv"]
    monkeypatch.setattr("runtime.stores.plan.can_read_clips", lambda: False)
    plan = planned("s3://b/in", "s3://c/out", staging, "in/a.png", "in/b.avi")
    assert (len(plan.jobs), plan.clips) == (1, 1)


def test_one_video(staging: Staging) -> None:
    pytest.importorskip("av")
    for target, url in (("s3://c/out", "s3://c/out/a.mp4"), ("s3://c/x.mkv", "s3://c/x.mkv")):
        (job,) = planned("s3://b/a.mp4", target, staging, "a.mp4").jobs
        assert job.target_url == url


def test_from_store_to_store(staging: Staging) -> None:
    plan = planned("s3://b/in", "gs://c/out", staging, "in/a.png", "in/s/b.heic", "other/c.png")
    first, second = plan.jobs
    assert (first.name, first.target_url) == ("a.png", "gs://c/out/a.png")
    assert (second.name, second.target_url) == ("s/b.heic", "gs://c/out/s/b.png")
    assert first.origin is not None
    assert first.origin.url == "s3://b/in/a.png"
    assert first.source.parent == staging.sources
    assert (second.source.suffix, second.target.suffix) == (".heic", ".png")
    assert first.place == first.origin.url


def test_from_store_to_folder(staging: Staging, tmp_path: Path) -> None:
    (job,) = planned("s3://b", str(tmp_path / "out"), staging, "x/a.png").jobs
    assert job.target == tmp_path / "out/x/a.png"
    assert job.shown_target == str(job.target)


def test_from_folder_to_store(staging: Staging, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(b"")
    (job,) = planned(str(tmp_path / "in"), "s3://b/out", staging).jobs
    assert (job.source, job.target_url) == (tmp_path / "in/a.png", "s3://b/out/a.png")
    assert job.target.parent == staging.results


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("s3://b/out", "s3://b/out/a.png"),
        ("s3://b/large.png", "s3://b/large.png"),
        ("s3://b/large.png/", "s3://b/large.png/a.png"),
    ],
)
def test_one_picture(staging: Staging, tmp_path: Path, target: str, url: str) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    for source in ("s3://b/in/a.png", str(tmp_path / "a.png")):
        plan = planned(source, target, staging, "in/a.png")
        assert plan.is_one_file
        assert [job.target_url for job in plan.jobs] == [url]


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("s3://b/none", "out", "no object has this name"),
        ("s3://b/in", "s3://b/in/x", "lies inside INPUT"),
        ("s3://b/in", "s3://c/x.png", "OUTPUT must be a folder"),
    ],
)
def test_refused(staging: Staging, source: str, target: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        planned(source, target, staging, "in/a.png")
