from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.errors import StoreError
from runtime.stores.client import Found, ObjectStore, ResultStamp, plain_etag, shortened
from runtime.stores.url import StoreUrl

pytest.importorskip("obstore")
pytest.importorskip("moto")
pytest.importorskip("flask_cors")

from tests.support.object_store import BUCKET, StoreServer, s3_server

ODD_NAME = 'a b/é +%"圖.png'


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreServer]:
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def at(key: str) -> StoreUrl:
    return StoreUrl("s3", BUCKET, key)


@pytest.fixture
def store(server: StoreServer) -> ObjectStore:
    return ObjectStore(at(""))


def test_listed_and_found(server: StoreServer, store: ObjectStore) -> None:
    server.put(f"in/{ODD_NAME}", b"12345")
    server.put("in-other/b.png", b"")
    ((key, found),) = store.list(at("in")).items()
    assert (key, found.size_bytes) == (f"in/{ODD_NAME}", 5)
    assert store.find(at(key)) == found
    assert found.etag
    assert store.find(at("in")) is None


def test_etags_are_the_same_in_listings_and_answers() -> None:
    """Azure's listings have no quotes around them, and its answers do."""
    listed, answered = {"e_tag": "0x1C60"}, {"e_tag": '"0x1C60"'}
    assert plain_etag(listed) == plain_etag(answered) == "0x1C60"
    assert plain_etag({"e_tag": None}) == ""


def test_a_key_that_is_no_path(server: StoreServer, store: ObjectStore) -> None:
    server.put("odd/../b.png", b"")
    with pytest.raises(StoreError, match=r"odd/\.\./b\.png.*Rename that object"):
        store.list(at("odd"))


def test_fetched(server: StoreServer, store: ObjectStore, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20000
    server.put(ODD_NAME, content)
    stamp = store.fetch(at(ODD_NAME), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    found = store.find(at(ODD_NAME))
    assert found == Found(size_bytes=stamp.size_bytes, etag=stamp.etag)
    assert stamp.path == str(at(ODD_NAME))
    with pytest.raises(FileNotFoundError):
        store.fetch(at("missing"), tmp_path / "copy")


def test_data_and_stamp_appear_together(
    server: StoreServer, store: ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "result").write_bytes(b"result")
    stamp = ResultStamp(settings="f", sha256="s", etag='"e"', source=str(at(ODD_NAME)))
    store.put(tmp_path / "result", at("out/a.png"), stamp)
    assert store.stamp(at("out/a.png")) == stamp
    assert [method for method, path in server.seen if "out/" in path] == ["PUT", "HEAD"]
    server.put("out/foreign.png", b"another's")
    assert store.stamp(at("out/foreign.png")) == ResultStamp()
    assert store.stamp(at("out/missing.png")) is None


def test_a_stamp_is_short_and_of_ascii() -> None:
    stamp = ResultStamp(settings="f", sha256="s" * 64, etag="e", source="s3://b/" + "圖" * 340)
    assert len(stamp.as_text()) < 2000
    assert stamp.as_text().isascii()
    assert ResultStamp.from_text(stamp.as_text()).source == shortened(stamp.source)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"settings": "f"}', "null"])
def test_what_another_program_says_is_no_stamp(text: str) -> None:
    assert ResultStamp.from_text(text) == ResultStamp()


def test_refused(server: StoreServer, store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b"result")
    server.hook = lambda method, path: ("403 Forbidden", "AccessDenied")
    for attempt in (
        lambda: store.list(at("in")),
        lambda: store.fetch(at("a"), tmp_path / "copy"),
        lambda: store.put(tmp_path / "result", at("a"), ResultStamp()),
        lambda: store.stamp(at("a")),
    ):
        with pytest.raises(StoreError, match="the store refuses"):
            attempt()
    server.hook = lambda method, path: ("404 Not Found", "NoSuchBucket")
    for attempt in (
        lambda: store.list(at("in")),
        lambda: store.fetch(at("a"), tmp_path / "copy"),
        lambda: store.put(tmp_path / "result", at("a"), ResultStamp()),
    ):
        with pytest.raises(StoreError, match="no such bucket"):
            attempt()
