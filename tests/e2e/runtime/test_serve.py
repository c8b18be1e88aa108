"""The command `dggn-serve` from start to end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="needs the cpu extra")
pytest.importorskip("uvicorn", reason="needs the serve extra")

from runtime.serve.folder import PREFIX
from tests.support import dggn_run
from tests.support.dggn_serve import Running, command, running
from tests.support.processes import HANGS_S, posix_only, run, wait_until

EXAMPLES = Path(__file__).parents[3] / "examples"
ID = "a" * 32
TOKEN = "0123456789abcdef"


def post(server: Running, path: str, body: bytes) -> bytes:
    request = urllib.request.Request(server.url + path, body)
    with urllib.request.urlopen(request, timeout=HANGS_S) as response:
        return bytes(response.read())


def get(server: Running, path: str, **headers: str) -> dict[str, object]:
    request = urllib.request.Request(server.url + path, headers=headers)
    with urllib.request.urlopen(request, timeout=HANGS_S) as response:
        found: dict[str, object] = json.load(response)
        return found


def is_at_work(server: Running) -> bool:
    try:
        return get(server, f"/progress?id={ID}")["state"] == "working"
    except urllib.error.HTTPError as error:
        error.close()
        return False


def test_results_are_those_of_the_other_command(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    names = ["cat.png", "rocket.jpg"]
    for name in names:
        (tmp_path / "in" / name).write_bytes((EXAMPLES / name).read_bytes())
    options = ("--backend", "onnxruntime", "--threads", "1", "--scale", "2", "--format", "webp")
    done = dggn_run.run(tmp_path / "in", tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    with running(temporary=tmp_path) as server:
        for name in names:
            body = (tmp_path / "in" / name).read_bytes()
            answer = post(server, "/upscale?scale=2&format=webp", body)
            expected = (tmp_path / "out" / name).with_suffix(".webp").read_bytes()
            assert answer == expected, "byte for byte"
    assert "Traceback" not in "".join(server.said)


@posix_only
def test_a_signal_lets_it_finish_what_is_begun(tmp_path: Path) -> None:
    picture = dggn_run.make(tmp_path / "noise.png", (500, 400))
    with running(temporary=tmp_path) as server:
        answers: list[bytes] = []
        body, path = picture.read_bytes(), f"/upscale?format=jpg&id={ID}"
        asking = threading.Thread(target=lambda: answers.append(post(server, path, body)))
        asking.start()

        wait_until(lambda: is_at_work(server), server.process)
        (folder,) = tmp_path.glob(f"{PREFIX}*")
        assert server.end(signal.SIGTERM) == 0
        asking.join(HANGS_S)
        assert answers[0].startswith(b"\xff\xd8")
        assert not folder.exists()
    assert len(server.said) == 2, "the model and the address, and no traceback"


@posix_only
def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    body = (EXAMPLES / "coffee.jpg").read_bytes()
    with running(temporary=tmp_path) as server:

        def ask() -> None:
            with pytest.raises((OSError, http.client.HTTPException)):
                post(server, f"/upscale?scale=16&second_pass=true&id={ID}", body)

        asking = threading.Thread(target=ask)
        asking.start()

        wait_until(lambda: is_at_work(server), server.process)
        server.process.send_signal(signal.SIGINT)
        wait_until(lambda: _is_closed(server.port), server.process)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(HANGS_S) == 0
        asking.join(HANGS_S)
        assert not list(tmp_path.glob(f"{PREFIX}*"))


def _is_closed(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=HANGS_S).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_token_from_the_environment_is_asked_for(tmp_path: Path) -> None:
    with running(temporary=tmp_path, DGGN_SERVE_TOKEN=TOKEN) as server:
        with pytest.raises(urllib.error.HTTPError, match="401") as caught:
            get(server, "/info")
        caught.value.close()
        assert get(server, "/info", Authorization=f"Bearer {TOKEN}")["scale"] == 4


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--host", "0.0.0.0"), 2, "DGGN_SERVE_TOKEN"),
        (("--token", "short"), 2, "16 or more"),
        (("--model", "nothing"), 2, "nothing is neither a file nor a shipped model"),
    ],
)
def test_mistakes_are_said_in_one_line(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    done = run(command(*arguments, "--port", "0"), env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert done.stderr.startswith("dggn-serve: ")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob(f"{PREFIX}*"))


def test_a_port_that_is_taken_is_said_before_the_model_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run(command("--port", str(port)))
    assert done.returncode == 3
    assert f"port {port}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_extra_is_named_where_it_is_missing() -> None:
    done = run(command("--port", "0", first="import sys; sys.modules['uvicorn'] = None"))
    assert done.returncode == 3
    assert "pip install 'dggn[serve]'" in done.stderr
