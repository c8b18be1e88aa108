"""Clips through the pipeline: resuming, repeated frames, faults, memory."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the video extra")

from runtime.codecs.output import OutputSettings
from runtime.errors import Cancelled, TargetError
from runtime.image.picture import Picture
from runtime.jobs.job import Job
from runtime.jobs.result import FileResult
from runtime.run import make_clip as make_clip_module
from runtime.system.files import write_whole
from runtime.video import segment_encoder as encoder_module
from runtime.video import segments as segments_module
from runtime.video.mux import Muxed, put_together
from runtime.video.segments import Segment
from runtime.video.settings import VideoSettings
from tests.support import clips
from tests.support.clips import samples_of
from tests.support.pipeline_bench import Bench, NearestUpscaler, run, within_limit
from tests.support.processes import posix_only

FRAMES = 26


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "SEGMENT_FRAMES", 4)


def job_of(bench: Bench, source: Path, name: str = "") -> Job:
    return Job(source=source, target=bench.out / (name or source.name), name=source.name)


def outcome(
    bench: Bench, source: Path, name: str = "", settings: OutputSettings | None = None, **video: Any
) -> FileResult:
    pipeline = bench.pipeline(settings or OutputSettings(), video=VideoSettings(**video))
    result: FileResult = run(pipeline, [job_of(bench, source, name)])[source.name]
    return result


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return clips.make(tmp_path / "clip.mp4", frames=FRAMES, audio=1, options={"bf": "2"})


def segment_files(bench: Bench) -> list[Path]:
    return sorted(bench.out.glob(".dggn-*.segments/*.segment"))


def test_a_result_appears_when_it_is_complete(bench: Bench, source: Path) -> None:
    seen: list[set[str]] = []

    def look(picture: Picture) -> None:
        seen.append({path.name for path in bench.out.glob("*.mp4")})

    bench.upscaler = NearestUpscaler(before=look)
    result = outcome(bench, source)
    assert result.status == "done"
    assert seen == [set()] * FRAMES
    assert {path.name for path in bench.out.iterdir()} == {"clip.mp4", ".dggn-run.jsonl"}
    assert bench.journal_says_done(job_of(bench, source))


class Killed(BaseException):
    """Ends a run at once, like a power cut."""


@pytest.mark.parametrize(("suffix", "seed"), [(".mp4", 0), (".mkv", 1), (".mov", 2), (".mkv", 3)])
def test_a_run_that_was_ended_goes_on_and_makes_the_same_file(
    bench: Bench, source: Path, suffix: str, seed: int
) -> None:
    straight, killed = f"straight{suffix}", f"killed{suffix}"
    assert outcome(bench, source, straight).status == "done"
    chance = random.Random(seed)
    computed = 0
    for _ in range(20):
        left = chance.randrange(1, 12)

        def count(picture: Picture) -> None:
            nonlocal left, computed
            computed += 1
            left -= 1
            if left < 0:
                raise Killed

        bench.upscaler = NearestUpscaler(before=count)
        before = len(segment_files(bench))
        try:
            result = outcome(bench, source, killed)
        except Killed:
            assert not (bench.out / killed).exists()
            assert len(segment_files(bench)) >= before
            continue
        break
    assert result.status == "done"
    assert any("resumed from frame" in note for note in result.notes)
    assert computed < 3 * FRAMES
    assert (bench.out / killed).read_bytes() == (bench.out / straight).read_bytes()
    assert not segment_files(bench)


def test_nothing_is_computed_when_only_the_end_is_missing(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise TargetError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(make_clip_module, "put_together", fail)
        with pytest.raises(TargetError, match="full"):
            outcome(bench, source)
    assert not (bench.out / "clip.mp4").exists()
    assert not list(bench.out.glob("*.partial"))
    bench.upscaler = NearestUpscaler(before=lambda picture: pytest.fail("computed again"))
    result = outcome(bench, source)
    assert result.status == "done"
    assert result.frames == FRAMES


def test_a_damaged_segment_and_what_follows_is_made_again(bench: Bench, source: Path) -> None:
    straight = outcome(bench, source, "straight.mp4")
    bench.upscaler = NearestUpscaler(before=after(18, Killed))
    with pytest.raises(Killed):
        outcome(bench, source, "again.mp4")
    files = segment_files(bench)
    assert len(files) >= 3
    content = bytearray(files[1].read_bytes())
    content[-1] ^= 1
    files[1].write_bytes(content)
    bench.upscaler = NearestUpscaler()
    result = outcome(bench, source, "again.mp4")
    assert any(note == "resumed from frame 4" for note in result.notes)
    assert Path(str(result.target)).read_bytes() == Path(str(straight.target)).read_bytes()


@pytest.mark.parametrize("change", ["source", "settings"])
def test_segments_of_something_else_are_not_used(
    bench: Bench, source: Path, tmp_path: Path, change: str
) -> None:
    bench.upscaler = NearestUpscaler(before=after(18, Killed))
    with pytest.raises(Killed):
        outcome(bench, source)
    assert segment_files(bench)
    bench.upscaler = NearestUpscaler()
    if change == "source":
        clips.make(source, frames=FRAMES, rate=clips.RATE * 2)
        result = outcome(bench, source)
    else:
        result = outcome(bench, source, crf=30)
    assert result.status == "done"
    assert not any("resumed" in note for note in result.notes)
    assert result.frames == FRAMES


def after(calls: int, error: type[BaseException]) -> Callable[[Picture], None]:
    """Raises after this many calls."""
    left = calls

    def count(picture: Picture) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise error

    return count


def test_stopping_leaves_whole_segments_only(bench: Bench, source: Path) -> None:
    reached = threading.Event()
    pipeline = bench.pipeline(OutputSettings(), whole_bytes=5 * 3 * 192 * 256)

    def wait(picture: Picture) -> None:
        if segment_files(bench):
            reached.set()
            bench.upscaler.cancelled.wait(60)

    bench.upscaler.before = wait

    def stop() -> None:
        assert reached.wait(60)
        pipeline.cancel()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Cancelled):
        within_limit(lambda: list(pipeline.run([job_of(bench, source)])))
    thread.join()
    assert pipeline.join(timeout_s=30)
    assert not list(bench.out.rglob("*.partial"))
    for path in segment_files(bench):
        assert len(Segment.from_bytes(path.read_bytes()).stamps) == 4


def test_repeated_frames_are_computed_once(bench: Bench, tmp_path: Path) -> None:
    pictures = [clips.picture(number // 3) for number in range(12)]
    source = clips.make(
        tmp_path / "repeats.mkv", frames=12, pictures=pictures, codec="ffv1",
        pixel_format="yuv444p", options={"level": "3", "g": "1"},
    )  # fmt: skip
    calls: list[int] = []
    bench.upscaler = NearestUpscaler(before=lambda picture: calls.append(1))
    result = outcome(bench, source, crf=1)
    assert len(calls) == 4
    assert "8 repeated frames were not computed again" in result.notes
    made = samples_of(Path(str(result.target)))
    assert len(made) == 12
    for number, frame in enumerate(made):
        error = np.abs(frame[::4, ::4].astype(int) - pictures[number])
        assert error.mean() < 3


def test_frames_that_come_out_of_order_are_put_in_order(bench: Bench, source: Path) -> None:
    straight = outcome(bench, source, "straight.mp4")
    bench.upscaler = Shuffled()
    result = outcome(bench, source)
    assert Path(str(result.target)).read_bytes() == Path(str(straight.target)).read_bytes()


class Shuffled(NearestUpscaler):
    """Keeps three pictures, and returns them in another order; the rest in `finish`."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[Picture, Callable[[Picture], None]]] = []
        self.most = 0

    def submit_picture(
        self, picture: Picture, on_done: Callable[[Picture], None], *, on_tile: Any = None
    ) -> None:
        self.kept.append((picture, on_done))
        self.most = max(self.most, len(self.kept))
        if len(self.kept) == 3:
            self.finish()

    def finish(self) -> None:
        kept, self.kept = self.kept, []
        for picture, on_done in reversed(kept):
            super().submit_picture(picture, on_done)


def test_memory_is_bounded(bench: Bench, source: Path) -> None:
    bench.upscaler = upscaler = Patient()
    frame_bytes = 3 * 192 * 256
    pipeline = bench.pipeline(OutputSettings(), whole_bytes=5 * frame_bytes)
    assert run(pipeline, [job_of(bench, source)])[source.name].status == "done"
    assert upscaler.most <= 5


class Patient(Shuffled):
    """Returns nothing until `finish`."""

    def submit_picture(
        self, picture: Picture, on_done: Callable[[Picture], None], *, on_tile: Any = None
    ) -> None:
        self.kept.append((picture, on_done))
        self.most = max(self.most, len(self.kept))


def test_frames_too_large_for_memory_are_refused(bench: Bench, source: Path) -> None:
    pipeline = bench.pipeline(OutputSettings(), whole_bytes=3 * 192 * 256)
    result = run(pipeline, [job_of(bench, source)])[source.name]
    assert result.status == "failed"
    assert "--memory" in result.message


def test_clips_among_pictures(bench: Bench, source: Path) -> None:
    jobs = [*bench.jobs(5), job_of(bench, source)]
    results = run(bench.pipeline(OutputSettings()), jobs)
    assert {result.status for result in results.values()} == {"done"}
    assert len(results) == 6


def test_a_full_disk_ends_the_run_and_keeps_what_is_there(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = write_whole

    def full(path: Path, content: bytes) -> None:
        if path.name.startswith("000003"):
            raise TargetError(f"{path} cannot be written: No space left on device")
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(segments_module, "write_whole", full)
        with pytest.raises(TargetError, match="No space"):
            outcome(bench, source)
    assert len(segment_files(bench)) == 3
    bench.upscaler = NearestUpscaler()
    assert outcome(bench, source).status == "done"


@posix_only
def test_a_disk_that_fills_up_at_the_end_keeps_all_segments(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    real, limit = put_together, resource.getrlimit(resource.RLIMIT_FSIZE)

    def limited(*arguments: Any) -> Muxed:
        # Python ignores the signal, so that writing fails as it does on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
        try:
            return real(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    with monkeypatch.context() as patch:
        patch.setattr(make_clip_module, "put_together", limited)
        with pytest.raises(TargetError, match="File too large.*Make room"):
            outcome(bench, source)
    assert not (bench.out / "clip.mp4").exists()
    assert not list(bench.out.glob("*.partial"))
    assert len(segment_files(bench)) == 7
    bench.upscaler = NearestUpscaler(before=lambda picture: pytest.fail("computed again"))
    assert outcome(bench, source).status == "done"


def test_a_source_that_vanishes_meanwhile_fails_alone(bench: Bench, source: Path) -> None:
    def vanish(picture: Picture) -> None:
        source.unlink(missing_ok=True)

    bench.upscaler = NearestUpscaler(before=vanish)
    result = outcome(bench, source)
    assert result.status == "failed"
    assert "No such file" in result.message
    assert "unexpected" not in result.message


def test_a_source_that_changes_meanwhile_is_noticed(bench: Bench, source: Path) -> None:
    def change(picture: Picture) -> None:
        with source.open("ab") as file:
            file.write(b"more")

    bench.upscaler = NearestUpscaler(before=change)
    result = outcome(bench, source)
    assert result.status == "failed"
    assert "changed while it was read" in result.message


@pytest.mark.parametrize("resumed", [False, True])
def test_the_report_shows_the_frame_in_the_middle(
    bench: Bench, source: Path, resumed: bool
) -> None:
    if resumed:
        bench.upscaler = NearestUpscaler(before=after(22, Killed))
        with pytest.raises(Killed):
            outcome(bench, source)
        bench.upscaler = NearestUpscaler()
    pipeline = bench.pipeline(OutputSettings(), previews=True)
    result = run(pipeline, [job_of(bench, source)])[source.name]
    assert result.preview is not None
    assert result.preview.size_hw == (192, 256)
    assert "h264, 8 bits, BT.601 (525), 25 frames a second; 1 audio" in result.clip
