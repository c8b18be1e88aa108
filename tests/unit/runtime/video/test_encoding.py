from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the video extra")

from runtime.errors import ConfigError, ImageError, ImageWriteError
from runtime.video.encoding import SEGMENT_FRAMES, Encoding, plan_encoding
from runtime.video.facts import Clip
from runtime.video.segment_encoder import SegmentEncoder
from runtime.video.settings import VideoSettings
from tests.support.clips import a_clip
from tests.support.processes import run

CLIP = a_clip()


def planned(
    target: str = "x.mp4", size_hw: tuple[int, int] = (192, 256), clip: Clip = CLIP, **video: Any
) -> Encoding:
    return plan_encoding(clip, size_hw, Path(target), VideoSettings(**video))


@pytest.mark.parametrize(
    ("target", "bits", "codec", "encoder", "pixel_format"),
    [
        ("x.mp4", 8, "auto", "libx264", "yuv420p"),
        ("x.mkv", 10, "auto", "libx265", "yuv420p10le"),
        ("x.webm", 8, "auto", "libvpx-vp9", "yuv420p"),
        ("x.mp4", 10, "h264", "libx264", "yuv420p10le"),
        ("x.mp4", 8, "hevc", "libx265", "yuv420p"),
        ("x.mkv", 8, "av1", "libsvtav1", "yuv420p"),
        ("x.mkv", 8, "ffv1", "ffv1", "yuv420p"),
    ],
)
def test_encoders_and_formats(
    target: str, bits: int, codec: str, encoder: str, pixel_format: str
) -> None:
    encoding = planned(target, clip=replace(CLIP, bits=bits), codec=codec)
    assert (encoding.encoder, encoding.pixel_format) == (encoder, pixel_format)
    assert encoding.notes == ()
    if sys.platform == "linux":
        assert os.sched_getscheduler(0) == os.SCHED_OTHER, "SVT-AV1 asks for real time"


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (1, 1)])
@pytest.mark.parametrize("bits", [8, 10])
def test_chroma_and_depth_are_kept(shift: tuple[int, int], bits: int) -> None:
    name = {(0, 0): "yuv444p", (1, 0): "yuv422p", (1, 1): "yuv420p"}[shift]
    encoding = planned(clip=replace(CLIP, bits=bits, chroma_shift=shift))
    assert encoding.pixel_format == name + ("10le" if bits == 10 else "")


@pytest.mark.parametrize(
    ("clip", "video", "note"),
    [
        (replace(CLIP, bits=12), {"codec": "h264"}, "10 bits instead of 12"),
        (replace(CLIP, chroma_shift=(0, 0)), {"codec": "av1"}, "chroma"),
    ],
)
def test_what_an_encoder_lacks_is_noted(clip: Clip, video: dict[str, Any], note: str) -> None:
    assert any(note in each for each in planned("x.mkv", clip=clip, **video).notes)


def test_sizes_are_made_even_where_they_must_be() -> None:
    assert planned(size_hw=(191, 255)).size_hw == (192, 256)
    assert planned(size_hw=(1, 3)).size_hw == (2, 4)
    assert planned(size_hw=(191, 255), clip=replace(CLIP, chroma_shift=(0, 0))).size_hw == (
        191,
        255,
    )


@pytest.mark.parametrize(
    ("target", "video", "error", "message"),
    [
        ("x.mp4", {"codec": "nonsense"}, ConfigError, "has no such encoder"),
        ("x.mp4", {"codec": "aac"}, ConfigError, "encodes no video"),
        ("x.webm", {"codec": "h264"}, ImageWriteError, "does not support libx264"),
        ("x.mov", {"codec": "vp9"}, ImageWriteError, r"\.mov does not support libvpx-vp9"),
        ("x.webm", {"preset": "slow"}, ImageWriteError, "presets of libvpx-vp9 are numbers"),
        ("x.mp4", {"preset": "nonsense"}, ImageWriteError, "--preset"),
        ("x.mkv", {"codec": "ffv1", "preset": "slow"}, ConfigError, "--preset"),
        ("x.mkv", {"codec": "ffv1", "crf": 3}, ConfigError, "--crf"),
        # The rarest of them: AMD's own driver.
        ("x.mp4", {"codec": "h264_amf"}, ImageWriteError, r"opened \(it needs an AMD GPU"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_computed(
    target: str, video: dict[str, Any], error: type[ImageError], message: str
) -> None:
    with pytest.raises(error, match=message):
        planned(target, **video)


def test_each_segment_begins_anew() -> None:
    encoding = planned(size_hw=(48, 64))
    noise = np.random.default_rng(0).integers(0, 256, (SEGMENT_FRAMES, 48, 64, 3), np.uint8)
    encoder = SegmentEncoder(encoding, "x.mp4")
    both = [encoder.add(frame, number, 1) for frame, number in zip(
        [*noise, *noise], range(2 * SEGMENT_FRAMES), strict=True)]  # fmt: skip
    first, second = both[SEGMENT_FRAMES - 1], both[-1]
    assert first is not None
    assert second is not None
    assert [one for one in both if one] == [first, second]
    assert first.packets == second.packets
    assert first.packets[0].is_key
    assert second.stamps[0] == SEGMENT_FRAMES
    assert encoder.finish() is None


@pytest.mark.skipif(sys.platform != "linux", reason="fills memory by a setting of glibc")
def test_bytes_do_not_depend_on_what_memory_held_before() -> None:
    code = """
import hashlib
import numpy as np
from runtime.video.segment_encoder import SegmentEncoder
from tests.unit.runtime.video.test_encoding import planned
encoder = SegmentEncoder(planned(size_hw=(270, 480)), "x.mp4")
noise = np.random.default_rng(0).integers(0, 256, (60, 270, 480, 3), np.uint8)
for number, frame in enumerate(noise):
    encoder.add(frame, number, 1)
print(hashlib.sha256(b"".join(packet.data for packet in encoder.finish().packets)).hexdigest())
"""
    found = {
        run(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "MALLOC_PERTURB_": value,
                "PYTHONPATH": str(Path(__file__).parents[4]),
            },
        ).stdout
        for value in ("1", "170")
    }
    assert len(found) == 1
    assert found.pop().strip()
