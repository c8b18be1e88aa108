"""Streams beside a clip's main video: which are kept, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

av = pytest.importorskip("av", reason="needs the video extra")

from tests.support import clips
from tests.support.clips import needs_ffprobe, probe
from tests.support.pipeline_bench import Bench
from tests.support.processes import run as run_command
from tests.unit.runtime.run.test_clip_results import upscaled

pytestmark = needs_ffprobe


def joined(source: Path, *parts: Path, options: tuple[str, ...] = ()) -> Path:
    """Copy the streams of several files into one."""
    command = ["ffmpeg", "-v", "error"]
    for part in parts:
        command += ["-i", str(part)]
    for number in range(len(parts)):
        command += ["-map", str(number)]
    assert run_command([*command, "-c", "copy", *options, str(source)]).returncode == 0
    return source


@pytest.mark.parametrize(("kind", "codec"), [("jpg", "mjpeg"), ("png", "png")])
def test_covers_stay_covers_in_matroska(
    bench: Bench, tmp_path: Path, kind: str, codec: str
) -> None:
    cover = tmp_path / f"cover.{kind}"
    Image.new("RGB", (32, 32), (200, 10, 10)).save(cover)
    whole = clips.make(tmp_path / "whole.mp4", audio=1)
    covered = ("-disposition:v:1", "attached_pic")
    source = joined(tmp_path / "covered.mp4", whole, cover, options=covered)
    for suffix in (".mkv", ".mp4"):  # and back, from what the first made
        result = upscaled(bench, source, suffix)
        source = Path(str(result.target))
        streams = probe(source)["streams"]
        (found,) = [one for one in streams if one["disposition"]["attached_pic"]]
        assert (found["codec_name"], found["width"]) == (codec, 32)
        assert not [note for note in result.notes if "left out" in note]


def test_alpha_beside_the_video_is_noted(bench: Bench, tmp_path: Path) -> None:
    source = clips.make(
        tmp_path / "alpha.webm", codec="libvpx-vp9", pixel_format="yuva420p", frames=2
    )
    with av.open(str(source)) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"
    result = upscaled(bench, source)
    assert "transparency is not kept" in result.notes
    with av.open(str(result.target)) as container:
        assert "alpha_mode" not in container.streams.video[0].metadata


def test_a_track_that_is_left_out_is_not_taken_for_the_next(bench: Bench, tmp_path: Path) -> None:
    first = clips.make(tmp_path / "aac.mkv", audio=1, frames=30)
    other = clips.make(tmp_path / "opus.mkv", audio=1, audio_codec="libopus")
    sound = joined(tmp_path / "sound.mka", other, options=("-vn",))
    source = joined(tmp_path / "both.mkv", first, sound)
    notes = upscaled(bench, source, ".webm").notes
    assert "its audio (aac) was left out: .webm does not support it" in notes
    assert not [note for note in notes if "damaged" in note]


def test_a_title_of_the_video_is_missed(bench: Bench, tmp_path: Path) -> None:
    whole = clips.make(tmp_path / "whole.mkv")
    titled = ("-metadata:s:v:0", "title=Cam A")
    source = joined(tmp_path / "titled.mkv", whole, options=titled)
    notes = upscaled(bench, source, ".mp4").notes
    assert "not supported by .mp4: metadata (video title)" in notes
