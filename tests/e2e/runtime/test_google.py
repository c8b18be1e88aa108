"""`dggn-run` from and to Google Cloud Storage, which a server on loopback plays."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("obstore")
pytest.importorskip("cryptography")
pytest.importorskip("werkzeug")

from tests.support.dggn_run import make, run, start, statuses
from tests.support.google_store import BUCKET, GoogleStore, google_store
from tests.support.killed_run import run_killed_after
from tests.support.processes import BLOCKS_S, SOON_S, posix_only, wait_until

FEW_RETRIES = "import runtime.stores.client as client; client.RETRIES = 2"
VARIABLES = ("SERVICE_ACCOUNT", "SERVICE_ACCOUNT_PATH", "SERVICE_ACCOUNT_KEY", "BEARER_TOKEN")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[GoogleStore]:
    """A store that this machine's account may use."""
    for name in (*VARIABLES, "APPLICATION_CREDENTIALS", "SKIP_SIGNATURE"):
        monkeypatch.delenv(f"GOOGLE_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with google_store() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def url(key: str = "") -> str:
    return f"gs://{BUCKET}/{key}"


def test_there_and_back(server: GoogleStore, tmp_path: Path) -> None:
    names = {"a.png", "sub/b.jpg", "sub/é +%.png", *(f"more/{number}.png" for number in range(4))}
    for name in names:
        server.put(f"in/{name}", make(tmp_path / "in" / name).read_bytes())
    for other in ("in/notes.txt", "in/.hidden/a.png", "in/sub/", "in-other/a.png"):
        server.put(other, b"")
    local = run(tmp_path / "in", tmp_path / "local")
    assert local.returncode == 0, local.stderr
    expected = {name: (tmp_path / "local" / name).read_bytes() for name in names}

    ends = ((url("in"), url("out/")), (url("in"), tmp_path / "back"), (tmp_path / "in", url("put")))
    for arguments in ends:
        result = run(*arguments)
        assert result.returncode == 0, result.stderr
    assert {name: server.get(f"out/{name}") for name in server.keys("out/")} == expected
    assert {name: server.get(f"put/{name}") for name in server.keys("put/")} == expected
    assert {name: (tmp_path / "back" / name).read_bytes() for name in names} == expected
    for name in names:
        stamp = server.stamp(f"out/{name}")
        assert stamp["etag"] == server.etag(f"in/{name}")
        assert stamp["sha256"] == hashlib.sha256(server.get(f"in/{name}")).hexdigest()
        assert stamp["source"] == url(f"in/{name}")
        assert stamp["settings"] == server.stamp(f"put/{name}")["settings"] != ""
    for arguments in ends:
        again = json.loads(run(*arguments, "--json").stdout)["totals"]
        assert (again["up_to_date"], again["done"]) == (len(names), 0)
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("credentials", ["a key", "an emulator"])
def test_credentials_in_files(
    server: GoogleStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, credentials: str
) -> None:
    for name in server.environment.keys() - {"GOOGLE_BASE_URL"}:
        monkeypatch.delenv(name)
    if credentials == "a key":
        path = server.key_file(tmp_path / "key.json")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    else:
        monkeypatch.delenv("GOOGLE_BASE_URL")
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(server.emulator_file(tmp_path / "e.json")))
        server.needs_token = False
    server.put("in/a.png", make(tmp_path / "a.png").read_bytes())
    result = run(url("in"), url("out"), "--quiet")
    assert result.returncode == 0, result.stderr
    assert server.keys("out/") == {"a.png"}


@posix_only
def test_killed_after_3_of_8_and_resumed(server: GoogleStore, tmp_path: Path) -> None:
    for number in range(8):
        server.put(f"in/{number}.png", make(tmp_path / f"{number}.png").read_bytes())
    done = run_killed_after(server, 3, url("in"), url("out"), "--jobs", "2", "--backend", "cpu")
    assert len(done) == 3

    # Changed pictures are made again, and other programs' objects are kept.
    changed, foreign = sorted(done)[0], sorted(server.keys("in/") - done)[0]
    server.put(f"in/{changed}", make(tmp_path / "changed.png", (30, 20)).read_bytes())
    server.put(f"out/{foreign}", b"somebody else's")
    again = run(url("in"), url("out"), "--json", "--backend", "cpu")
    assert again.returncode == 1, again.stderr
    report = json.loads(again.stdout)
    assert (report["totals"]["up_to_date"], report["totals"]["done"]) == (2, 5)
    found = statuses(report)
    assert (found[changed], found[foreign]) == ("done", "skipped")
    assert server.get(f"out/{foreign}") == b"somebody else's"
    assert server.stamp(f"out/{changed}")["etag"] == server.etag(f"in/{changed}")
    forced = run(url("in"), url("out"), "--overwrite", "--quiet", "--backend", "cpu")
    assert forced.returncode == 0, forced.stderr
    assert server.get(f"out/{foreign}") != b"somebody else's"


@posix_only
def test_a_large_result_in_parts_killed_and_throttled(server: GoogleStore, tmp_path: Path) -> None:
    picture = make(tmp_path / "large.png", (380, 380))
    arguments = (picture, url("out/large.tiff"), "--backend", "cpu", "--quiet")
    held, parts, requests = threading.Event(), 0, 0

    def after_a_part(method: str, path: str) -> tuple[str, str] | None:
        nonlocal parts
        if method == "PUT":
            parts += 1
            if parts > 1:
                held.wait(BLOCKS_S)
        return None

    server.hook = after_a_part
    with start(*arguments) as process:
        wait_until(lambda: parts > 1, process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=SOON_S)
    held.set()
    server.listener.wait_for_dead_clients()
    assert not server.keys("")

    def every_third(method: str, path: str) -> tuple[str, str] | None:
        nonlocal requests
        requests += 1
        return ("503 Service Unavailable", "ServiceUnavailable") if requests % 3 == 0 else None

    server.hook = every_third
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    assert any("uploads=" in path for _, path in server.seen)
    local = run(picture, tmp_path / "large.tiff", "--backend", "cpu", "--quiet")
    assert local.returncode == 0, local.stderr
    assert server.get("out/large.tiff") == (tmp_path / "large.tiff").read_bytes()
    server.hook = lambda method, path: None
    again = run(*arguments, "--json")
    assert json.loads(again.stdout)["totals"]["up_to_date"] == 1


def test_a_store_that_must_not_be_written(server: GoogleStore, tmp_path: Path) -> None:
    server.put("in/a.png", make(tmp_path / "a.png").read_bytes())
    server.hook = lambda method, path: (
        ("403 Forbidden", "AccessDenied") if method == "PUT" else None
    )
    result = run(url("in"), url("out"))
    assert result.returncode == 3
    assert f"{url('out/a.png')}: the store refuses (AccessDenied): check GOOGLE" in result.stderr
    assert "Traceback" not in result.stderr
    assert not server.keys("out/")


@pytest.mark.parametrize(
    ("variables", "source", "code", "words"),
    [
        (
            {"GOOGLE_APPLICATION_CREDENTIALS": "unknown.json"},
            url("in"),
            3,
            "the store refuses (HTTP 401): check GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (
            {"GOOGLE_APPLICATION_CREDENTIALS": "missing.json"},
            url("in"),
            3,
            "missing.json: No such file or directory: check GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (
            {"GOOGLE_APPLICATION_CREDENTIALS": "emulator.json"},
            url("in"),
            3,
            "missing field `type` at line 1 column",
        ),
        ({}, "gs://no-such-bucket/in", 3, "no such bucket or container (NoSuchBucket)"),
        ({}, url("nothing"), 2, "does not exist"),
        ({"GOOGLE_BASE_URL": "http://127.0.0.1:9"}, url("in"), 3, "cannot be reached"),
        ({}, url("in"), 3, "no credentials for gs:// were found"),
    ],
)
def test_what_is_refused_begins_nothing(
    server: GoogleStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    source: str,
    code: int,
    words: str,
) -> None:
    server.put("in/a.png", make(tmp_path / "a.png").read_bytes())
    server.key_file(tmp_path / "unknown.json", is_known=False)
    server.emulator_file(tmp_path / "emulator.json")
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value) if value.endswith(".json") else value)
    if "no credentials" in words:
        server.hook = lambda method, path: (
            ("404 Not Found", "no account") if "computeMetadata" in path else None
        )
    result = run(source, tmp_path / "out", first=FEW_RETRIES)
    assert result.returncode == code
    assert words in result.stderr, result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()
