"""`dggn-run` with an S3 server: reading, writing, killed, throttled and denied."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("obstore")
pytest.importorskip("moto")
pytest.importorskip("flask_cors")

from tests.support.dggn_run import make, run, statuses
from tests.support.killed_run import run_killed_after
from tests.support.object_store import BUCKET, KEY_ID, StoreServer, s3_server
from tests.support.processes import posix_only


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StoreServer]:
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "tmp").mkdir()
        monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
        yield server


def url(key: str = "") -> str:
    return f"s3://{BUCKET}/{key}"


def test_there_and_back(server: StoreServer, tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.jpg", "sub/é +%.png"):
        path = make(tmp_path / "in" / name)
        server.put(f"in/{name}", path.read_bytes())
    for other in ("in/notes.txt", "in/.hidden/a.png", "in/@eaDir/a.png", "in/sub/"):
        server.put(other, b"")
    local = run(tmp_path / "in", tmp_path / "local")
    assert local.returncode == 0, local.stderr
    expected = {
        name: (tmp_path / "local" / name).read_bytes()
        for name in server.keys("in/")
        if (tmp_path / "local" / name).is_file()
    }
    assert len(expected) == 3

    there = run(url("in"), url("out/"), "--json")
    assert there.returncode == 0, there.stderr
    report = json.loads(there.stdout)
    ignored = {name: count for name, count in report["totals"]["ignored"].items() if count}
    assert ignored == {"hidden": 1, "other": 2, "system": 1}
    assert {file["target"] for file in report["files"]} == {url(f"out/{name}") for name in expected}
    assert {name: server.get(f"out/{name}") for name in server.keys("out/")} == expected

    back = run(url("in"), tmp_path / "back")
    assert back.returncode == 0, back.stderr
    put = run(tmp_path / "in", url("put"))
    assert put.returncode == 0, put.stderr
    for name, content in expected.items():
        assert (tmp_path / "back" / name).read_bytes() == content
        assert server.get(f"put/{name}") == content
    for arguments in (
        (url("in"), url("out")),
        (url("in"), tmp_path / "back"),
        (tmp_path / "in", url("put")),
    ):
        again = json.loads(run(*arguments, "--json").stdout)["totals"]
        assert (again["up_to_date"], again["done"]) == (3, 0)
    assert not list((tmp_path / "tmp").iterdir())


@posix_only
def test_names_are_the_same_under_every_locale(
    server: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, strange = tmp_path / "in", os.fsdecode(b"\xff.png")
    for name in ("\u00fc/\u00e9.png", strange):
        make(source / name)
    put = run(source, url("\u00f6ut/"), "--json")
    assert statuses(json.loads(put.stdout)) == {"\u00fc/\u00e9.png": "done", strange: "failed"}
    assert "rename it" in put.stderr
    for name, value in {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)
    again = run(source, url("\u00f6ut/"), "--json", "--quiet")
    assert json.loads(again.stdout)["totals"]["up_to_date"] == 1
    back = run(url("\u00f6ut"), tmp_path / "back", "--quiet")
    assert back.returncode == 0, back.stderr
    assert (tmp_path / "back/\u00fc/\u00e9.png").exists()


def test_a_video_there_and_back(server: StoreServer, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from tests.support.clips import make as make_clip

    server.put("in/clip.mp4", make_clip(tmp_path / "clip.mp4", frames=3).read_bytes())
    local = run(tmp_path / "clip.mp4", tmp_path / "local.mp4", "--backend", "cpu")
    assert local.returncode == 0, local.stderr
    planned = run(url("in"), url("out"), "--dry-run", "--json", "--backend", "cpu")
    assert statuses(json.loads(planned.stdout)) == {"clip.mp4": "planned"}, planned.stderr
    for source, target in ((url("in"), url("out")), (url("in/clip.mp4"), url("out/clip.mp4"))):
        there = run(source, target, "--json", "--backend", "cpu")
        assert there.returncode == 0, there.stderr
        assert server.get("out/clip.mp4") == (tmp_path / "local.mp4").read_bytes()
    assert json.loads(there.stdout)["totals"]["up_to_date"] == 1


def test_an_object_that_is_output_itself_is_kept(server: StoreServer, tmp_path: Path) -> None:
    picture = make(tmp_path / "a.png")
    server.put("large.png", b"somebody else's")
    result = run(picture, url("large.png"))
    assert result.returncode == 1, result.stderr
    assert server.get("large.png") == b"somebody else's"


def test_a_dead_client_is_waited_for(server: StoreServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that a dead client has sent may take effect later."""
    answer = StoreServer.__call__

    def late(server: StoreServer, environ: dict[str, Any], start: Any) -> Any:
        time.sleep(1)
        return answer(server, environ, start)

    monkeypatch.setattr(StoreServer, "__call__", late)
    signed = (
        f"Authorization: AWS4-HMAC-SHA256 Credential={KEY_ID}/20260101/us-east-1/s3/aws4_request"
    )
    with socket.create_connection(("127.0.0.1", server.listener.port)) as client:
        lines = (f"PUT /{BUCKET}/late.png HTTP/1.1", "Host: localhost", signed, "Content-Length: 4")
        client.sendall("\r\n".join((*lines, "", "late")).encode())
    assert not server.keys("")
    server.listener.wait_for_dead_clients()
    assert server.keys("") == {"late.png"}


@posix_only
def test_killed_after_9_of_24_and_resumed(server: StoreServer, tmp_path: Path) -> None:
    for number in range(24):
        server.put(f"in/{number:02}.png", make(tmp_path / f"{number:02}.png").read_bytes())
    done = run_killed_after(server, 9, url("in"), url("out"), "--jobs", "2", "--backend", "cpu")
    assert len(done) == 9

    # Changed pictures are made again, and other programs' objects are kept.
    changed, foreign = sorted(done)[0], sorted(server.keys("in/") - done)[0]
    server.put(f"in/{changed}", make(tmp_path / "changed.png", (30, 20)).read_bytes())
    server.put(f"out/{foreign}", b"somebody else's")
    again = run(url("in"), url("out"), "--json", "--backend", "cpu")
    assert again.returncode == 1, again.stderr
    report = json.loads(again.stdout)
    assert report["totals"]["up_to_date"] == len(done) - 1
    assert report["totals"]["done"] == 24 - len(done)
    found = statuses(report)
    assert (found[changed], found[foreign]) == ("done", "skipped")
    assert server.get(f"out/{foreign}") == b"somebody else's"
    assert len(server.keys("out/")) == 24
    forced = run(url("in"), url("out"), "--overwrite", "--quiet", "--backend", "cpu")
    assert forced.returncode == 0, forced.stderr
    assert server.get(f"out/{foreign}") != b"somebody else's"


def test_a_large_result_in_parts_through_a_throttled_store(
    server: StoreServer, tmp_path: Path
) -> None:
    picture = make(tmp_path / "large.png", (380, 380))
    requests = 0

    def every_third(method: str, path: str) -> tuple[str, str] | None:
        nonlocal requests
        requests += 1
        return ("503 Slow Down", "SlowDown") if requests % 3 == 0 else None

    server.hook = every_third
    result = run(picture, url("out/large.tiff"), "--backend", "cpu", "--quiet")
    assert result.returncode == 0, result.stderr
    server.hook = lambda method, path: None
    assert any("uploadId=" in path for _, path in server.seen)
    local = run(picture, tmp_path / "large.tiff", "--backend", "cpu", "--quiet")
    assert local.returncode == 0, local.stderr
    assert server.get("out/large.tiff") == (tmp_path / "large.tiff").read_bytes()


def test_a_store_that_must_not_be_written(server: StoreServer, tmp_path: Path) -> None:
    server.put("in/a.png", make(tmp_path / "a.png").read_bytes())
    server.hook = lambda method, path: (
        ("403 Forbidden", "AccessDenied") if method == "PUT" else None
    )
    result = run(url("in"), url("out"))
    assert result.returncode == 3
    assert f"{url('out/a.png')}: the store refuses (AccessDenied): check AWS" in result.stderr
    assert "Traceback" not in result.stderr
    assert not server.keys("out/")


@pytest.mark.parametrize(
    ("variables", "source", "words"),
    [
        (
            {"AWS_ACCESS_KEY_ID": "OTHER"},
            url("in"),
            "the store refuses (HTTP 403): check AWS_ACCESS_KEY_ID",
        ),
        ({}, "s3://no-such-bucket/in", "no such bucket or container (NoSuchBucket)"),
        ({}, url("nothing"), "does not exist"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, url("in"), "cannot be reached"),
    ],
)
def test_what_is_refused_begins_nothing(
    server: StoreServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    source: str,
    words: str,
) -> None:
    server.put("in/a.png", make(tmp_path / "a.png").read_bytes())
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    first = "import runtime.stores.client as client; client.RETRIES = 2"
    result = run(source, tmp_path / "out", first=first)
    assert result.returncode in (2, 3)
    assert words in result.stderr, result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("http://example.org/in", "out", "expected s3://"),
        ("s3:///in", "out", "not a URL in a store"),
        ("s3://key:secret@bucket/in", "out", "holds credentials"),
        ("s3://bucket/in", "s3://bucket/in/large", "lies inside INPUT"),
    ],
)
def test_urls_that_make_no_sense(source: str, target: str, words: str) -> None:
    result = run(source, target)
    assert result.returncode == 2
    assert words in " ".join(result.stderr.replace("│", " ").split())
