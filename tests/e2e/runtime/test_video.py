"""Videos with `dggn-run` as users run it: in its own process, with the shipped model."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("av", reason="needs the video extra")

from tests.support import clips
from tests.support.clips import needs_ffprobe, probe, times, video_of
from tests.support.dggn_run import files, make, run, start, statuses
from tests.support.processes import BLOCKS_S, posix_only, wait_until

SHORT_SEGMENTS = (
    "import runtime.video.segment_encoder; runtime.video.segment_encoder.SEGMENT_FRAMES = 3"
)
STUCK = f"""
{SHORT_SEGMENTS}
import time
from runtime.video.segments import SegmentStore
real = SegmentStore.add
def add(store, segment):
    real(store, segment)
    if store.count == COUNT:
        time.sleep({BLOCKS_S})
SegmentStore.add = add
"""
"""Never ends by itself, once it has made so many segments."""

WITHOUT_PYAV = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "av":
            raise ModuleNotFoundError("No module named 'av'", name="av")
sys.meta_path.insert(0, Blocker())
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "av" else real(name, package)
"""
MODEL = ("--model", "dggn-lite")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return clips.make(
        tmp_path / "clip.mp4", frames=24, size_hw=(24, 32), audio=1, rate=Fraction(30000, 1001)
    )


@needs_ffprobe
def test_a_clip_is_upscaled_once(clip: Path, tmp_path: Path) -> None:
    large, page = tmp_path / "out/large.mp4", tmp_path / "report.html"
    first = run(clip, large, *MODEL, "--json", "--report", page)
    assert first.returncode == 0, first.stderr
    (file,) = json.loads(first.stdout)["files"]
    assert (file["status"], file["frames"], file["target_size_hw"]) == ("done", 24, [96, 128])
    assert file["clip"].startswith("h264, 8 bits, BT.601 (525), 29.97 frames a second; 1 audio")
    assert json.loads(first.stdout)["settings"]["video_codec"] == "auto"
    assert files(tmp_path / "out") == {"large.mp4"}
    before, after = probe(clip), probe(large)
    for index in (0, 1):
        assert times(after, index) == pytest.approx(times(before, index), abs=1e-6)
    assert video_of(after)["width"] == 128
    assert "29.97 frames a second" in page.read_text()
    assert 'class="pair"' in page.read_text()

    again = run(clip, large, *MODEL)
    assert "1 up to date" in again.stderr
    other = run(clip, large, *MODEL, "--quality", "70", "--hdr", "--deinterlace")
    assert "1 up to date" in other.stderr
    better = run(clip, large, *MODEL, "--crf", "10")
    assert "1 upscaled" in better.stderr


@posix_only
def test_a_killed_run_goes_on_and_makes_the_same_file(clip: Path, tmp_path: Path) -> None:
    straight = run(clip, tmp_path / "a/x.mp4", *MODEL, first=SHORT_SEGMENTS)
    assert straight.returncode == 0, straight.stderr
    out = tmp_path / "b"
    chance = random.Random(1)

    def segments() -> int:
        return len(list(out.glob(".dggn-*.segments/*.segment")))

    for first in (1, 4):
        wanted = chance.randrange(first, first + 3)
        stuck = STUCK.replace("COUNT", str(wanted))
        with start(clip, out / "x.mp4", *MODEL, first=stuck) as process:
            wait_until(lambda wanted=wanted: segments() >= wanted, process)  # type: ignore[misc]
            process.kill()
        assert not (out / "x.mp4").exists()
    last = run(clip, out / "x.mp4", *MODEL, first=SHORT_SEGMENTS)
    assert last.returncode == 0, last.stderr
    assert "resumed from frame" in last.stderr
    assert (out / "x.mp4").read_bytes() == (tmp_path / "a/x.mp4").read_bytes()
    assert files(out) == {"x.mp4"}


@posix_only
def test_interrupting_keeps_segments(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found: Callable[[], bool] = lambda: bool(list(out.glob("*/*.segment")))  # noqa: E731
    with start(clip, out / "x.mp4", *MODEL, first=STUCK.replace("COUNT", "1")) as process:
        wait_until(found, process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "run the same command to resume" in said
    assert found()
    assert not list(out.rglob("*.partial"))
    assert not (out / "x.mp4").exists()


def test_clips_among_pictures(clip: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    make(folder / "a.png")
    (folder / "sub").mkdir()
    clip.rename(folder / "sub/clip.MP4")
    (folder / "bad.mkv").write_bytes(b"nothing")
    result = run(folder, out, *MODEL, "--json", "--suffix", "_x2", "--scale", "2")
    assert result.returncode == 1
    report = json.loads(result.stdout)
    expected = {"a.png": "done", "bad.mkv": "failed", "sub/clip.MP4": "done"}
    assert statuses(report) == expected
    assert files(out) == {"a_x2.png", "sub/clip_x2.MP4"}


def test_without_the_extra_clips_are_left_alone(clip: Path, tmp_path: Path) -> None:
    alone = run(clip, tmp_path / "x.mp4", *MODEL, first=WITHOUT_PYAV)
    assert alone.returncode == 3
    assert "pip install 'dggn[video]'" in alone.stderr
    folder = tmp_path / "in"
    make(folder / "a.png")
    clip.rename(folder / "clip.mp4")
    result = run(folder, tmp_path / "out", *MODEL, first=WITHOUT_PYAV)
    assert result.returncode == 0, result.stderr
    assert files(tmp_path / "out") == {"a.png"}
    assert "1 video, for which pip install 'dggn[video]'" in result.stderr


def test_a_dry_run_tells_how_long(clip: Path, tmp_path: Path) -> None:
    result = run(clip, tmp_path / "out", *MODEL, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "clip.mp4: 32x24 -> 128x96" in result.stdout
    assert "24 frames of h264" in result.stdout
    assert "about" in result.stdout
    assert not (tmp_path / "out").exists()
    as_json = run(clip, tmp_path / "out", *MODEL, "--dry-run", "--json")
    estimate = json.loads(as_json.stdout)["estimate"]
    assert estimate["source_megapixels"] == pytest.approx(24 * 24 * 32 / 1e6)
    assert estimate["output_megapixels"] == pytest.approx(24 * 96 * 128 / 1e6)
    assert estimate["seconds"] > 0


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("clip.mp4", "x.png", "is a video, but OUTPUT"),
        ("clip.mp4", "x.avi", "is a video, but OUTPUT"),
        ("a.png", "x.mp4", "names no writable format"),
        ("in", "x.mp4", "named like a video"),
    ],
)
def test_names_that_make_no_sense(
    clip: Path, tmp_path: Path, source: str, target: str, message: str
) -> None:
    make(tmp_path / "a.png")
    make(tmp_path / "in/a.png")
    result = run(tmp_path / source, tmp_path / target, *MODEL)
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / target).exists()
