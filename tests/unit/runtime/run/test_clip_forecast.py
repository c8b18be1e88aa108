from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("av", reason="needs the video extra")

from runtime.jobs.job import Job
from runtime.jobs.stamp import SourceStamp
from runtime.run.clip_forecast import FRAMES, clip_s, encode_s, frames_left
from runtime.run.clip_plan import ClipPlan
from runtime.video.segments import Packet, Segment, SegmentStore
from tests.support.clips import a_clip, an_encoding


def plan_of(**clip: int) -> ClipPlan:
    return ClipPlan(
        clip=a_clip(**clip),
        encoding=an_encoding(),
        passes=1,
        frame_bytes=1,
        is_deep=False,
        notes=(),
    )


def test_encoding_is_measured_per_pixel() -> None:
    ticks = itertools.count()
    assert encode_s(an_encoding(), clock=lambda: next(ticks)) == 1 / (FRAMES * 192 * 256)


def test_processors_share_what_gpus_do_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.run.clip_forecast.encode_s", lambda encoding: 2 / (192 * 256))
    assert clip_s(plan_of(), 10, 100, 0.03, on_gpu=False) == pytest.approx(30 + 20)
    assert clip_s(plan_of(), 10, 100, 0.03, on_gpu=True) == pytest.approx(30)
    assert clip_s(plan_of(), 10, 100, 0.01, on_gpu=True) == pytest.approx(20)


def test_finished_segments_take_no_time(tmp_path: Path) -> None:
    source = tmp_path / "x.mp4"
    source.write_bytes(b"a clip")
    job = Job(source=source, target=tmp_path / "y.mp4", name="x.mp4")
    plan = plan_of(frames=10)
    assert frames_left(plan, job, "f") == 10
    store = SegmentStore(job.target, plan.fingerprint(SourceStamp.of(source), "f"))
    packets = [Packet(frame=number, is_key=number == 0, data=b"x") for number in range(4)]
    store.add(Segment(stamps=range(4), last_duration=1, packets=packets))
    assert frames_left(plan, job, "f") == 6
    assert frames_left(plan, job, "g") == 10
    other = replace(plan, encoding=an_encoding(options={"crf": "3"}))
    assert frames_left(other, job, "f") == 10
