"""Models by URL, from a local https server with its own certificate."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from runtime.backends import fetch
from runtime.backends.fetch import local_model
from runtime.errors import ConfigError, DownloadError, ModelError
from runtime.model.info import model_path
from runtime.report.progress import BarProgress, PlainProgress, QuietProgress
from tests.support.dggn_run import make, run
from tests.support.gpu_machine import LITE

CERTIFICATE = Path(__file__).parent / "localhost.pem"
"""Made for these tests, with its key, and trusted by nobody else."""

MODEL = b"\x08\x08\x12\x04test" + bytes(range(256)) * 4000
SHA256 = hashlib.sha256(MODEL).hexdigest()


class Server:
    """Answers by path; counts requests."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {"/models/4x%20Nice.onnx": MODEL}
        self.moved: dict[str, str] = {}
        self.too_short = 0
        self.asked: list[str] = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append(self.path)
                if self.path in owner.moved:
                    self.send_response(302)
                    self.send_header("Location", owner.moved[self.path])
                    self.end_headers()
                    return
                content = owner.answers.get(self.path)
                if content is None:
                    self.send_error(404, "Not Found")
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content) + owner.too_short))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def url(server: Server) -> str:
    return f"{server.url}/models/4x%20Nice.onnx"


def kept(tmp_path: Path) -> list[str]:
    """Files in the cache, except the lock."""
    return sorted(path.name for path in (tmp_path / "cache").rglob("*.*") if path.name != ".lock")


def test_names_and_paths_are_left_alone() -> None:
    for model in ("dggn-lite", "C:\\models\\a.onnx", "models/a.onnx#b"):
        assert local_model(model, say=pytest.fail) == model


def test_a_url_is_fetched_once(server: Server, url: str, tmp_path: Path) -> None:
    said: list[str] = []
    path = Path(local_model(url, say=said.append))
    assert path.read_bytes() == MODEL
    assert path.parent == tmp_path / "cache/models"
    assert path.name.startswith("4x_Nice-")
    assert path.suffix == ".onnx"
    assert f"#sha256={SHA256}" in said[0]
    assert local_model(url, say=said.append) == str(path)
    assert local_model(f"{url}#sha256={SHA256.upper()}", say=said.append) == str(path)
    assert (len(said), len(server.asked)) == (1, 1)


def test_evaluation_and_calibration_take_urls(server: Server, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the cpu extra")
    from calibration.cli import app
    from dggn.metrics.systems import open_system

    server.answers |= dict.fromkeys(("/eval.onnx", "/calibrate.onnx"), LITE.read_bytes())
    with open_system(f"{server.url}/eval.onnx") as super_resolve:
        assert super_resolve(np.zeros((8, 9, 3), np.uint8)).shape == (32, 36, 3)
    pytest.importorskip("onnx", reason="needs the calibrate extra")
    (tmp_path / "empty").mkdir()
    arguments = [str(tmp_path / "empty"), "--model", f"{server.url}/calibrate.onnx"]
    result = CliRunner().invoke(app, arguments)
    assert "holds no picture" in result.output
    assert server.asked == ["/eval.onnx", "/calibrate.onnx"]


def test_urls_with_one_name_are_different_models(server: Server, url: str) -> None:
    server.answers["/other/4x%20Nice.onnx"] = MODEL[:-1]
    paths = [
        local_model(address, say=lambda line: None)
        for address in (url, f"{server.url}/other/4x%20Nice.onnx")
    ]
    assert [Path(path).read_bytes() for path in paths] == [MODEL, MODEL[:-1]]


def test_another_content_than_the_one_asked_for(server: Server, url: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"SHA-256 {SHA256}, and {'0' * 64} was requested"):
        local_model(f"{url}#sha256={'0' * 64}", say=pytest.fail)
    assert kept(tmp_path) == []


def test_a_cached_file_of_another_content_is_fetched_again(server: Server, url: str) -> None:
    server.answers["/models/4x%20Nice.onnx"] = b"\x08an older version"
    old = Path(local_model(url, say=lambda line: None))
    server.answers["/models/4x%20Nice.onnx"] = MODEL
    assert Path(local_model(url, say=pytest.fail)).read_bytes() == b"\x08an older version"
    said: list[str] = []
    assert local_model(f"{url}#sha256={SHA256}", say=said.append) == str(old)
    assert old.read_bytes() == MODEL
    assert "its SHA-256 matches" in said[0]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("http://example.org/a.onnx", "only URLs that start with https"),
        ("file:///etc/passwd", "only URLs that start with https"),
        ("https:///a.onnx", "only URLs that start with https"),
        ("https://example.org/4x-Nice.pth", "names a .pth file.*dggn-export onnx"),
        ("https://example.org/a.SAFETENSORS?download=true", "names a .safetensors file"),
        ("https://example.org/a.onnx#sha256=abc", "64 hexadecimal digits"),
        ("https://example.org/a.onnx#md5=abc", "64 hexadecimal digits"),
    ],
)
def test_what_is_never_fetched(
    model: str, message: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_opened", pytest.fail)
    with pytest.raises(ConfigError, match=message):
        local_model(model, say=pytest.fail)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"PK\x03\x04 archive/data.pkl",
            "a ZIP file, as PyTorch checkpoints are: turn it into ONNX",
        ),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P", "a PyTorch checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
        (b"\n<!DOCTYPE html>\n<html>", "a web page: take the link"),
    ],
)
def test_what_is_no_onnx_file_is_not_kept(
    server: Server, tmp_path: Path, content: bytes, message: str
) -> None:
    server.answers["/a.onnx"] = content
    with pytest.raises(ModelError, match=message):
        local_model(f"{server.url}/a.onnx", say=pytest.fail)
    assert kept(tmp_path) == []


def test_redirects_stay_in_https(server: Server, url: str, tmp_path: Path) -> None:
    server.moved = {"/latest": url, "/plain": "http://127.0.0.1:9/a.onnx"}
    assert Path(local_model(f"{server.url}/latest", say=lambda line: None)).read_bytes() == MODEL
    with pytest.raises(DownloadError, match="leads to http://127.0.0.1:9/a.onnx"):
        local_model(f"{server.url}/plain", say=pytest.fail)
    assert len(kept(tmp_path)) == 1


def test_failures_say_what_failed_and_leave_nothing(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DownloadError, match=r"/none\.onnx cannot be downloaded: 404 Not Found"):
        local_model(f"{server.url}/none.onnx", say=pytest.fail)
    server.too_short = 5
    with pytest.raises(DownloadError, match=r"ended after 1,024,008 of 1,024,013 bytes"):
        local_model(url, say=pytest.fail)
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(DownloadError, match=r"cannot be downloaded \(.*certificate verify failed"):
        local_model(url, say=pytest.fail)
    with pytest.raises(DownloadError, match=r"cannot be downloaded \(.*refused"):
        local_model("https://127.0.0.1:9/a.onnx", say=pytest.fail)
    assert kept(tmp_path) == []
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match="cannot be written .*DGGN_CACHE"):
        local_model(url, say=pytest.fail)


def test_several_runs_fetch_it_once(server: Server, url: str) -> None:
    paths: list[str] = []

    def get() -> None:
        paths.append(local_model(url, say=lambda line: None))

    threads = [threading.Thread(target=get) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1
    if sys.platform != "win32":
        assert len(server.asked) == 1


def test_people_see_how_far_it_is(server: Server, url: str) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for progress, expected in (
        (QuietProgress(io.StringIO()), ""),
        (PlainProgress(io.StringIO()), "downloading 4x%20Nice.onnx (1.0 MB)\n"),
    ):
        with progress.fetching("4x%20Nice.onnx", len(MODEL)) as advance:
            advance(5)
        assert progress._stream.getvalue() == expected  # type: ignore[attr-defined]
    terminal = Terminal()
    local_model(url, say=lambda line: None, bar=BarProgress(terminal).fetching)
    assert "downloading 4x Nice.onnx" in terminal.getvalue()
    assert "1.0/1.0 MB" in terminal.getvalue()


def test_a_run_with_a_url_is_one_with_its_file(server: Server, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the cpu extra")
    shipped = model_path("dggn-lite")
    server.answers["/lite.onnx"] = shipped.read_bytes()
    source, out = make(tmp_path / "in/a.png"), tmp_path / "out"
    url = f"{server.url}/lite.onnx"

    def report(model: str | Path, *options: str) -> tuple[dict[str, Any], str]:
        result = run(source, out, "--json", "--model", model, *options)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout), result.stderr

    planned, said = report(url, "--dry-run")
    assert "downloading lite.onnx" in said
    assert planned["files"][0]["status"] == "planned"
    assert not out.exists()
    done, _ = report(url)
    assert (done["model"], done["totals"]["done"]) == (url, 1)
    assert done["model_sha256"] == hashlib.sha256(shipped.read_bytes()).hexdigest()
    same, _ = report(shipped)
    assert same["totals"]["up_to_date"] == 1
    assert server.asked == ["/lite.onnx"]


def test_a_failed_download_is_the_machines_fault(server: Server, tmp_path: Path) -> None:
    result: subprocess.CompletedProcess[str] = run(
        make(tmp_path / "a.png"), tmp_path / "out", "--model", f"{server.url}/none.onnx"
    )
    assert (result.returncode, result.stdout) == (3, "")
    assert "404 Not Found" in result.stderr
    assert not (tmp_path / "out").exists()
