"""Properties of clips that are preserved, according to ffprobe; the network repeats pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av", reason="needs the video extra")

from runtime.codecs.output import OutputSettings
from runtime.jobs.job import Job
from runtime.jobs.result import FileResult
from runtime.video.settings import VideoSettings
from tests.support import clips
from tests.support.clips import needs_ffprobe, probe, samples_of, times, video_of
from tests.support.pipeline_bench import Bench, run
from tests.support.processes import run as run_command

pytestmark = needs_ffprobe

NTSC, FILM = Fraction(30000, 1001), Fraction(24000, 1001)
TAGS = ("color_primaries", "color_transfer", "color_space", "color_range")
QUARTER = (0, 65536, 0, -65536, 0, 0, 48 << 16, 0, 1 << 30)
HALF = (-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30)


def upscaled(
    bench: Bench,
    source: Path,
    suffix: str = "",
    settings: OutputSettings | None = None,
    **video: Any,
) -> FileResult:
    target = bench.out / f"result{suffix or source.suffix}"
    job = Job(source=source, target=target, name=source.name)
    pipeline = bench.pipeline(settings or OutputSettings(), video=VideoSettings(**video))
    result: FileResult = run(pipeline, [job])[source.name]
    assert (result.status, result.message) == ("done", "")
    assert not [path for path in bench.out.iterdir() if path.name.startswith(".dggn-") and (
        path.name != ".dggn-run.jsonl")]  # fmt: skip
    return result


def both(bench: Bench, source: Path, suffix: str = "", **video: Any) -> tuple[Any, Any]:
    result = upscaled(bench, source, suffix, **video)
    return probe(source), probe(Path(str(result.target)))


KINDS: dict[str, Mapping[str, Any]] = {
    "plain.mp4": {},
    "ntsc.mp4": {"rate": NTSC, "frames": 30},
    "variable.mp4": {
        "stamps": [0, 1, 2, 5, 9, 10, 20, 21, 30, 33],
        "time_base": Fraction(1, 100),
    },
    "variable.mkv": {
        "stamps": [7, 11, 52, 95, 119, 310, 450, 451, 470, 600],
        "time_base": Fraction(1, 1000),
    },
    "late.mp4": {
        "stamps": [7007 + 1001 * number for number in range(10)],
        "time_base": Fraction(1, 30000),
        "rate": NTSC,
        "audio": 1,
        "muxer_options": {"movie_timescale": "30000"},
    },
    "late-sound.mov": {"audio": 1, "audio_start": Fraction(1, 7), "frames": 20},
    "b-frames.mp4": {"frames": 30, "options": {"bf": "3", "b-pyramid": "normal", "g": "30"}},
    "film.mkv": {"rate": FILM, "frames": 20, "audio": 1},
    "web.webm": {"codec": "libvpx-vp9", "audio": 1, "audio_codec": "libopus"},
    "still.mp4": {"frames": 1},
    "still.mov": {"frames": 1, "codec": "mjpeg", "pixel_format": "yuvj420p"},
    "no-stamps.avi": {"codec": "mpeg4"},
    "edit-list.mp4": {"frames": 20, "audio": 1, "options": {"bf": "2"}},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_and_its_time_stamp(bench: Bench, tmp_path: Path, name: str) -> None:
    source = clips.make(tmp_path / name, **KINDS[name])
    suffix = ".mkv" if name.endswith(".avi") else ""
    before, after = both(bench, source, suffix)
    old, new = video_of(before), video_of(after)
    assert times(after, new["index"]) == pytest.approx(times(before, old["index"]), abs=1e-6)
    assert float(new["start_time"]) == pytest.approx(float(old["start_time"]), abs=1e-6)
    assert (new["width"], new["height"]) == (4 * old["width"], 4 * old["height"])
    for kind in ("audio", "subtitle"):
        pairs = zip(
            (one for one in before["streams"] if one["codec_type"] == kind),
            (one for one in after["streams"] if one["codec_type"] == kind),
            strict=True,
        )
        for one, other in pairs:
            assert times(after, other["index"]) == pytest.approx(times(before, one["index"]))
    made = samples_of(Path(bench.out / f"result{suffix or source.suffix}"))
    shown = samples_of(source)
    assert len(made) == len(shown)
    for frame, original in zip(made, shown, strict=True):
        assert np.abs(frame[::4, ::4].astype(int) - original).mean() < 6


def shown_at(path: Path) -> list[float]:
    """Presentation times in seconds, without frames that an edit list removes."""
    import av

    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_frames_that_an_edit_list_takes_out_stay_out(bench: Bench, tmp_path: Path) -> None:
    whole = clips.make(tmp_path / "whole.mp4", frames=30, audio=1, options={"g": "30", "bf": "2"})
    source = tmp_path / "cut.mp4"
    # A copy from the middle of a group: the frames before it are needed, but not shown.
    command = ["ffmpeg", "-v", "error", "-ss", "0.5", "-i", str(whole), "-c", "copy", str(source)]
    assert run_command(command).returncode == 0
    result = upscaled(bench, source)
    expected = shown_at(source)
    assert 0 < len(expected) < 20
    assert len(probe(source)["packets"]) > len(expected) + 20
    assert shown_at(Path(str(result.target))) == pytest.approx(expected, abs=1e-6)
    before, after = probe(source), probe(Path(str(result.target)))
    assert times(after, 1) == pytest.approx(times(before, 1), abs=1e-6)


def test_missing_time_stamps_are_made_up(bench: Bench, tmp_path: Path) -> None:
    """AVI stores none; with B-frames, FFmpeg has to guess them."""
    source = clips.make(tmp_path / "x.avi", codec="mpeg4", options={"bf": "2"}, frames=20)
    assert any("pts_time" not in packet for packet in probe(source)["packets"])
    command = ["ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries"]
    command += ["frame=best_effort_timestamp_time", str(source)]
    guesses = [line.strip(",") for line in run_command(command).stdout.split()]
    expected: list[float] = []
    for guess in guesses:  # ffprobe has none for the last frames either
        expected.append(expected[-1] + 0.04 if guess == "N/A" else float(guess))
    result = upscaled(bench, source, ".mkv")
    assert shown_at(Path(str(result.target))) == pytest.approx(expected, abs=1e-3)
    assert len(expected) == 20


def test_two_tracks_of_sound_and_subtitles(bench: Bench, tmp_path: Path) -> None:
    source = clips.make(
        tmp_path / "tracks.mp4",
        frames=25,
        audio=2,
        subtitles=[("hello", 0.1, 0.3), ("there", 0.4, 0.7)],
        chapters=[("one", 0, 0.5), ("two", 0.5, 1)],
        metadata={"title": "A film", "comment": "words", "creation_time": "2024-05-06T07:08:09"},
    )
    before, after = both(bench, source)
    kinds = [(one["codec_type"], one["codec_name"]) for one in before["streams"]]
    assert kinds[:4] == [("video", "h264"), ("audio", "aac"), ("audio", "aac"), (
        "subtitle", "mov_text")]  # fmt: skip
    assert kinds == [(one["codec_type"], one["codec_name"]) for one in after["streams"]]
    for old, new in zip(before["streams"], after["streams"], strict=True):
        assert old["tags"].get("language") == new["tags"].get("language")
        assert old["disposition"] == new["disposition"]
        if old["codec_type"] in ("audio", "subtitle"):
            packets = [
                [(one["pts_time"], one["size"]) for one in found["packets"]
                 if one["stream_index"] == stream["index"]]
                for found, stream in ((before, old), (after, new))
            ]  # fmt: skip
            assert packets[0] == packets[1]
    chapters = [
        [(one["start_time"], one["end_time"], one["tags"]["title"]) for one in found["chapters"]]
        for found in (before, after)
    ]
    assert chapters[0] == chapters[1]
    assert len(chapters[0]) == 2
    for key in ("title", "comment", "creation_time"):
        assert before["format"]["tags"][key] == after["format"]["tags"][key]


def test_matroska_with_everything(bench: Bench, tmp_path: Path) -> None:
    source = clips.make(
        tmp_path / "all.mkv",
        audio=2,
        subtitles=[("hello", 0.1, 0.3)],
        chapters=[("one", 0, 0.2), ("two", 0.2, 0.4)],
        attachment=b"a font" * 50,
        metadata={"title": "A film"},
    )
    result = upscaled(bench, source)
    import av

    with av.open(str(source)) as old, av.open(str(result.target)) as new:
        assert [one.type for one in old.streams] == [one.type for one in new.streams]
        assert new.streams.attachments[0].data == b"a font" * 50
        assert new.streams.attachments[0].metadata["filename"] == "font.ttf"
        assert new.metadata["title"] == "A film"
        assert [one.language for one in new.streams] == [one.language for one in old.streams]
        words = [bytes(packet) for packet in new.demux(new.streams.subtitles[0]) if packet.size]
        assert words == [b"hello"]
        assert len(new.chapters()) == 2
    assert not [note for note in result.notes if "support" in note]


def test_covers_time_codes_and_what_telephones_write(bench: Bench, tmp_path: Path) -> None:
    whole = clips.make(tmp_path / "whole.mp4", audio=1)
    cover, source = tmp_path / "cover.jpg", tmp_path / "source.mov"
    Image.new("RGB", (32, 32), (200, 10, 10)).save(cover)
    command = ["ffmpeg", "-v", "error", "-i", str(whole), "-c", "copy", "-timecode", "01:02:03:04"]
    command += ["-movflags", "use_metadata_tags", "-metadata", "com.apple.quicktime.make=A"]
    assert run_command([*command, "-metadata", "title=T", str(source)]).returncode == 0
    before, after = both(bench, source)
    assert video_of(after)["tags"]["timecode"] == video_of(before)["tags"]["timecode"]
    assert after["format"]["tags"]["com.apple.quicktime.make"] == "A"
    assert after["format"]["tags"]["title"] == "T"

    source = tmp_path / "covered.mp4"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(whole),
        "-i",
        str(cover),
        "-map",
        "0",
        "-map",
        "1",
    ]
    command += ["-c", "copy", "-disposition:v:1", "attached_pic", str(source)]
    assert run_command(command).returncode == 0
    result = upscaled(bench, source)
    (stream,) = [
        one
        for one in probe(Path(str(result.target)))["streams"]
        if one["disposition"]["attached_pic"]
    ]
    assert (stream["codec_name"], stream["width"]) == ("mjpeg", 32)
    assert any("cover art were copied" in note for note in result.notes)


@pytest.mark.parametrize(
    ("name", "turn", "shown_hw"),
    [("turned.mov", QUARTER, (256, 192)), ("turned.mp4", HALF, (192, 256)),
     ("turned.mkv", HALF, (192, 256))],
)  # fmt: skip
def test_turned_clips_stay_turned(
    bench: Bench, tmp_path: Path, name: str, turn: tuple[int, ...], shown_hw: tuple[int, int]
) -> None:
    source = clips.make(tmp_path / name, turn=turn)
    result = upscaled(bench, source)
    assert result.target_size_hw == shown_hw
    before, after = video_of(probe(source)), video_of(probe(Path(str(result.target))))
    assert (after["width"], after["height"]) == (256, 192)
    old, new = before["side_data_list"][0], after["side_data_list"][0]
    assert old["rotation"] == new["rotation"]


def test_sizes_are_those_that_are_shown(bench: Bench, tmp_path: Path) -> None:
    source = clips.make(tmp_path / "turned.mov", turn=QUARTER)
    result = upscaled(bench, source, settings=OutputSettings(height_px=128))
    assert result.target_size_hw == (128, 96)
    video = video_of(probe(Path(str(result.target))))
    assert (video["width"], video["height"]) == (128, 96)


def test_pixels_keep_their_shape(bench: Bench, tmp_path: Path) -> None:
    before, after = both(bench, clips.make(tmp_path / "wide.mp4", aspect=Fraction(4, 3)))
    assert video_of(before)["sample_aspect_ratio"] == "4:3"
    assert video_of(after)["sample_aspect_ratio"] == "4:3"
    assert video_of(before)["display_aspect_ratio"] == video_of(after)["display_aspect_ratio"]


@pytest.mark.parametrize(
    "colours",
    [(1, 1, 1, 1), (1, 1, 1, 2), (6, 6, 6, 1), (5, 6, 5, 1), (9, 14, 9, 1), (12, 13, 1, 1)],
    ids=["bt709", "full range", "bt601-525", "bt601-625", "bt2020", "p3"],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_colours(
    bench: Bench, tmp_path: Path, colours: tuple[int, int, int, int], suffix: str
) -> None:
    source = clips.make(tmp_path / f"tagged{suffix}", colours=colours, frames=3)
    result = upscaled(bench, source, crf=4)
    before, after = video_of(probe(source)), video_of(probe(Path(str(result.target))))
    assert [before[tag] for tag in TAGS] == [after[tag] for tag in TAGS]
    # Decoded by the tags, the colours are those of the original pictures.
    middle = samples_of(Path(str(result.target)))[0][20 * 4, 40 * 4].astype(int)
    assert np.abs(middle - clips.picture(0)[20, 40]).max() <= 6
    assert not any("untagged" in note for note in result.notes)


@pytest.mark.parametrize(("rows", "tags"), [(48, "smpte170m"), (576, "bt470bg"), (720, "bt709")])
def test_untagged_colours_are_tagged_as_players_take_them(
    bench: Bench, tmp_path: Path, rows: int, tags: str
) -> None:
    source = clips.make(tmp_path / "untagged.mp4", frames=1, size_hw=(rows, 16))
    assert "color_space" not in video_of(probe(source))
    result = upscaled(bench, source, settings=OutputSettings(scale=1))
    assert video_of(probe(Path(str(result.target))))["color_primaries"] == tags
    assert any("untagged" in note for note in result.notes)


def test_ten_bits_stay_ten_bits(bench: Bench, tmp_path: Path) -> None:
    bench.upscaler.info = replace(bench.upscaler.info, sample_type="float32")
    ramp = np.linspace(20000, 24000, 64).astype(np.uint16)  # 64 values within 16 levels of 8 bits
    deep = np.repeat(np.repeat(ramp[None, :, None], 48, axis=0), 3, axis=2)
    source = clips.make(
        tmp_path / "deep.mkv", codec="ffv1", options={"level": "3", "g": "1"}, frames=2,
        pixel_format="yuv444p10le", pictures=[deep, deep],
    )  # fmt: skip
    result = upscaled(bench, source, crf=0)
    video = video_of(probe(Path(str(result.target))))
    assert (video["codec_name"], video["pix_fmt"]) == ("hevc", "yuv444p10le")
    import av

    with av.open(str(result.target)) as container:
        plane: Any = next(container.decode(video=0)).planes[0]
        luma = np.frombuffer(plane, "<u2").reshape(192, -1)[96, :256]
    assert len(np.unique(luma)) > 40


@pytest.mark.parametrize(("size", "pixel_format"), [((47, 63), "yuv444p"), ((33, 31), "yuv444p")])
@pytest.mark.parametrize("settings", [OutputSettings(), OutputSettings(scale=3)])
def test_odd_sizes(
    bench: Bench, tmp_path: Path, size: tuple[int, int], pixel_format: str, settings: OutputSettings
) -> None:
    source = clips.make(tmp_path / "odd.mkv", size_hw=size, pixel_format=pixel_format, frames=2)
    result = upscaled(bench, source, settings=settings)
    scale = settings.scale or 4
    video = video_of(probe(Path(str(result.target))))
    assert (video["height"], video["width"]) == (scale * size[0], scale * size[1])


def test_odd_sizes_that_share_chroma_samples(bench: Bench, tmp_path: Path) -> None:
    source = clips.make(tmp_path / "odd.mkv", size_hw=(47, 63), codec="libvpx-vp9", frames=2)
    result = upscaled(bench, source, settings=OutputSettings(scale=3))
    video = video_of(probe(Path(str(result.target))))
    assert (video["height"], video["width"]) == (142, 190)
    assert any("even sizes" in note for note in result.notes)


def test_a_second_pass(bench: Bench, tmp_path: Path) -> None:
    source = clips.make(tmp_path / "x.mp4", frames=3, size_hw=(16, 16))
    result = upscaled(bench, source, settings=OutputSettings(scale=8, second_pass=True))
    assert result.target_size_hw == (128, 128)
    assert any("enlarged twice" in note for note in result.notes)


@pytest.mark.parametrize(
    ("suffix", "codec", "found"),
    [(".mp4", "h264", "h264"), (".mp4", "hevc", "hevc"), (".mkv", "av1", "av1"),
     (".webm", "auto", "vp9"), (".mkv", "ffv1", "ffv1"), (".mov", "prores_ks", "prores")],
)  # fmt: skip
def test_codecs(bench: Bench, tmp_path: Path, suffix: str, codec: str, found: str) -> None:
    source = clips.make(tmp_path / "source.mp4", frames=12)
    before, after = both(bench, source, suffix, codec=codec)
    video = video_of(after)
    assert video["codec_name"] == found
    assert times(after, 0) == pytest.approx(times(before, 0), abs=5e-4)
    if found == "hevc":
        assert video["codec_tag_string"] == "hvc1"  # Apple's players accept no other


def test_what_a_container_cannot_hold_is_noted(bench: Bench, tmp_path: Path) -> None:
    source = clips.make(
        tmp_path / "all.mkv", audio=1, subtitles=[("hello", 0.1, 0.3)], attachment=b"font"
    )
    notes = "; ".join(upscaled(bench, source, ".mp4").notes)
    assert "its subtitle (" in notes
    assert "its attachment (font.ttf) was left out: .mp4 does not support it" in notes
    source = clips.make(tmp_path / "ntsc.mp4", rate=NTSC)
    (bench.out / "result.mp4").unlink()
    notes = "; ".join(upscaled(bench, source, ".mkv").notes)
    assert "times of frames are up to 0.47 ms off: .mkv rounds them" in notes
