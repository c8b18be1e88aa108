from __future__ import annotations

import numpy as np
import pytest

from runtime.image.picture import Picture
from runtime.run.clip_plan import ClipPlan
from runtime.run.clip_preview import ClipPreview
from tests.support.clips import a_clip, an_encoding

ONE = 65536
TURNS = {
    # FFmpeg's display matrix, and what the rows of [[1, 2, 3], [4, 5, 6]] are shown as.
    "upright": ((ONE, 0, 0, 0, ONE), [[1, 2, 3], [4, 5, 6]]),
    "upside down": ((-ONE, 0, 0, 0, -ONE), [[6, 5, 4], [3, 2, 1]]),
    "a quarter clockwise": ((0, ONE, 0, -ONE, 0), [[4, 1], [5, 2], [6, 3]]),
    "a quarter counterclockwise": ((0, -ONE, 0, ONE, 0), [[3, 6], [2, 5], [1, 4]]),
    "mirrored": ((-ONE, 0, 0, 0, ONE), [[3, 2, 1], [6, 5, 4]]),
}


@pytest.mark.parametrize("name", TURNS)
def test_frames_are_shown_upright(name: str) -> None:
    turn, expected = TURNS[name]
    plan = ClipPlan(
        clip=a_clip(size_hw=(2, 3), turn=(*turn, 0, 0, 0, 1 << 30)),
        encoding=an_encoding(size_hw=(8, 12)),
        passes=1,
        frame_bytes=1,
        is_deep=False,
        notes=(),
    )
    preview = ClipPreview(plan)
    samples = np.repeat(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[..., None], 3, axis=2)
    shown = preview._upright(Picture(rgb_hwc=samples))
    assert shown.rgb_hwc[..., 0].tolist() == expected
    assert plan.clip.shown_hw == shown.size_hw


def test_the_middle_is_preferred_to_the_beginning() -> None:
    plan = ClipPlan(
        clip=a_clip(frames=10),
        encoding=an_encoding(),
        passes=1,
        frame_bytes=1,
        is_deep=False,
        notes=(),
    )
    preview = ClipPreview(plan)
    assert [number for number in range(10) if preview.wants(number)] == [0, 5]
    assert preview.preview is None
    source = Picture(rgb_hwc=np.zeros((48, 64, 3), np.uint8))
    result = Picture(rgb_hwc=np.zeros((192, 256, 3), np.uint8))
    preview.after(5, result)  # repeated: its source was not shown
    assert preview.preview is None
    preview.before(0, source)
    preview.after(0, result)
    first = preview.preview
    assert first is not None
    preview.before(5, source)
    preview.after(5, result)
    assert preview.preview is not first
