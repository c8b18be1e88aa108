"""`dggn-run` when it is stopped: by Ctrl-C, SIGTERM and SIGKILL.

The signal always comes before the end, because the run never ends by itself.
"""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("onnxruntime")

from tests.support.dggn_run import files, make, run, start
from tests.support.processes import BLOCKS_S, SOON_S, posix_only, wait_until

pytestmark = posix_only

LAST_IS_SLOW = f"""
import time, runtime.codecs.encode as encoder
real = encoder.encode
def encode(picture, target, settings):
    if target.name == "39.png":
        time.sleep({BLOCKS_S})
    return real(picture, target, settings)
encoder.encode = encode
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_stopped_in_the_middle_and_resumed(tmp_path: Path, name: str) -> None:
    count = 40
    for number in range(count):
        make(tmp_path / f"in/{number:02}.png", (48, 40))
    out = tmp_path / "out"
    arguments = (tmp_path / "in", out, "--json", "--jobs", "2")
    with start(*arguments, first=LAST_IS_SLOW) as process:
        wait_until(lambda: len(list(out.glob("*.png"))) >= 3, process)
        process.send_signal(getattr(signal, name))
        stdout, stderr = process.communicate(timeout=SOON_S)
    if name != "SIGKILL":
        assert process.returncode == 130, stderr
        assert "interrupted" in stderr
        assert json.loads(stdout)["error"] == "interrupted"
        assert not list(out.glob("*.partial"))
    assert "Traceback" not in stderr
    finished = set(out.glob("*.png"))
    assert len(finished) < count
    for path in finished:
        with Image.open(path) as image:
            image.load()
    again = run(*arguments)
    assert again.returncode == 0, again.stderr
    assert len(list(out.glob("*.png"))) == count
    assert not list(out.glob("*.partial"))
    # Only pictures whose completion was not recorded in time are done twice.
    assert json.loads(again.stdout)["totals"]["up_to_date"] >= len(finished) - 2


INSIDE_ONNX_RUNTIME = """
import pathlib, runtime.backends.onnxruntime as ort
real = ort.OrtBackend.run
def run(self, tiles):
    pathlib.Path({begun!r}).touch()
    return real(self, tiles)
ort.OrtBackend.run = run
"""

INSIDE_OPENVINO = """
import pathlib, runtime.backends.openvino.backend as ov
real = ov._Lane.submit
def submit(self, tile, deliver):
    if len(tile) > 200:  # smaller ones are of the verification
        pathlib.Path({begun!r}).touch()
    return real(self, tile, deliver)
ov._Lane.submit = submit
"""


@pytest.mark.parametrize(
    ("backend", "inside"), [("onnxruntime", INSIDE_ONNX_RUNTIME), ("openvino", INSIDE_OPENVINO)]
)
def test_a_second_ctrl_c_changes_nothing(tmp_path: Path, backend: str, inside: str) -> None:
    pytest.importorskip(backend)
    make(tmp_path / "large.png", (2400, 2400))
    out, begun = tmp_path / "out", tmp_path / "begun"
    tell = inside.format(begun=str(begun))
    with start(tmp_path / "large.png", out, "--backend", backend, first=tell) as process:
        wait_until(begun.exists, process)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        # A long inference is interrupted, too.
        _, stderr = process.communicate(timeout=SOON_S)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert files(out) == set()


def test_ctrl_c_while_a_result_takes_long_to_encode(photos: Path, tmp_path: Path) -> None:
    first = (
        "import time, runtime.codecs.encode as encoder; "
        "encoder.encode = lambda picture, target, settings: ("
        f"(target.parent / '.dggn-0-0.partial').touch(), time.sleep({BLOCKS_S})); "
    )
    with start(photos, tmp_path / "out", first=first) as process:
        wait_until(lambda: list(tmp_path.glob("out/*-0.partial")), process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=SOON_S)
    assert process.returncode == 130, stderr
    assert files(tmp_path / "out") == set()


def test_a_signal_that_is_ignored_stays_ignored(photos: Path, tmp_path: Path) -> None:
    # Sent from within, with enough work left for the signal to be handled.
    first = """
import os, signal, time, runtime.codecs.encode as encoder
signal.signal(signal.SIGHUP, signal.SIG_IGN)
real = encoder.encode
def encode(*arguments):
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(0.5)
    return real(*arguments)
encoder.encode = encode
"""
    result = run(photos, tmp_path / "out", first=first)
    assert result.returncode == 0, result.stderr
    assert files(tmp_path / "out") == {"a.png", "b.jpg", "sub/c.webp"}
