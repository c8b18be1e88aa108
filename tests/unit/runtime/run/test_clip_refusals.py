"""Rejected and damaged clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("av", reason="needs the video extra")

from runtime.codecs.output import OutputSettings
from runtime.jobs.job import Job
from runtime.jobs.result import FileResult
from runtime.video.settings import VideoSettings
from tests.support import clips
from tests.support.clips import samples_of
from tests.support.pipeline_bench import Bench, run


def outcome(bench: Bench, source: Path, name: str = "", **video: Any) -> FileResult:
    job = Job(source=source, target=bench.out / (name or source.name), name=source.name)
    pipeline = bench.pipeline(OutputSettings(), video=VideoSettings(**video))
    result: FileResult = run(pipeline, [job])[source.name]
    return result


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "interlaced": (
        lambda folder: clips.make(folder / "x.mp4", interlaced=True),
        "--deinterlace",
    ),
    "HDR": (lambda folder: clips.make(folder / "x.mkv", colours=(9, 16, 9, 1)), "--hdr"),
    "HLG": (lambda folder: clips.make(folder / "x.mkv", colours=(9, 18, 9, 1)), "--hdr"),
    "text": (lambda folder: written(folder / "x.mp4", b"no video"), "cannot be read as a video"),
    "playlist": (
        lambda folder: written(folder / "x.mp4", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"),
        "cannot be read as a video",
    ),
    "empty": (lambda folder: written(folder / "x.mkv", b""), "cannot be read as a video"),
    "cut before its index": (
        lambda folder: cut(clips.make(folder / "x.mp4", frames=30), 0.5),
        "cannot be read as a video",
    ),
}


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    return written(path, content[: int(share * len(content))])


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(bench: Bench, tmp_path: Path, kind: str) -> None:
    make, remedy = REFUSED[kind]
    source = make(tmp_path)
    result = outcome(bench, source)
    assert result.status == "failed"
    assert remedy in result.message
    assert not result.message.startswith(source.name)
    assert {path.name for path in bench.out.iterdir()} == {".dggn-run.jsonl"}


def test_frames_that_change_size_are_refused(bench: Bench, tmp_path: Path) -> None:
    import av

    source = tmp_path / "sizes.ts"
    first, second = (
        clips.make(tmp_path / f"{rows}.ts", size_hw=(rows, 64), frames=8) for rows in (48, 32)
    )
    source.write_bytes(first.read_bytes() + second.read_bytes())
    with av.open(str(source)) as container:
        assert len({frame.height for frame in container.decode(video=0)}) == 2
    result = outcome(bench, source, "result.mkv")
    assert result.status == "failed"
    assert "change from 64x48 to 64x32 pixels: split it" in result.message


@pytest.mark.parametrize(
    ("options", "video"),
    [
        ({"interlaced": True}, {"deinterlace": True}),
        ({"colours": (9, 16, 9, 1)}, {"hdr": True}),
    ],
    ids=["interlaced", "HDR"],
)
def test_what_is_refused_is_done_when_asked_for(
    bench: Bench, tmp_path: Path, options: dict[str, Any], video: dict[str, Any]
) -> None:
    source = clips.make(tmp_path / "x.mkv", frames=9, **options)
    result = outcome(bench, source, **video)
    assert (result.status, result.frames) == ("done", 9)
    import av

    with av.open(str(source)) as old, av.open(str(result.target)) as new:
        before = [(frame.pts, frame.color_trc) for frame in old.decode(video=0)]
        frames = list(new.decode(video=0))
    assert [frame.pts for frame in frames] == [pts for pts, _ in before]
    assert not any(frame.interlaced_frame for frame in frames)
    if "colours" in options:
        assert {int(frame.color_trc) for frame in frames} == {16}


def test_what_frames_carry_beside_their_samples_is_noted(bench: Bench, tmp_path: Path) -> None:
    hdr10 = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    # With B-frames, x265 sometimes gives so short a clip decoding times that no container accepts.
    params = f"log-level=none:bframes=0:{hdr10}:max-cll=1000,400"
    source = clips.make(
        tmp_path / "x.mkv", codec="libx265", pixel_format="yuv420p10le", frames=2,
        options={"x265-params": params}, colours=(9, 16, 9, 1),
    )  # fmt: skip
    result = outcome(bench, source, hdr=True)
    assert "not kept: its mastering display, light levels of HDR" in result.notes


@pytest.mark.parametrize("name", ["cut.mkv", "cut.mp4"])
def test_a_file_that_was_cut_off_is_made_as_far_as_it_goes(
    bench: Bench, tmp_path: Path, name: str
) -> None:
    source = cut(
        clips.make(
            tmp_path / name, frames=50, options={"g": "5"},
            muxer_options={"movflags": "faststart"} if name.endswith("mp4") else {},
        ),
        0.6,
    )  # fmt: skip
    result = outcome(bench, source)
    assert result.status == "done"
    assert 10 < result.frames < 45
    assert any("the file is truncated" in note for note in result.notes)
    assert len(samples_of(Path(str(result.target)))) == result.frames


def test_a_damaged_packet_of_sound_is_left_out(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clips.make(tmp_path / "x.ts", frames=20, audio=1)
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = b"\x55" * 300
    source.write_bytes(content)
    result = outcome(bench, source, "result.mkv")
    assert result.status == "done"
    assert "1 packets of its audio are damaged and were left out" in result.notes
