"""Selects the frame of a video that the report shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from runtime.image.picture import Picture
from runtime.jobs.result import Preview
from runtime.report.preview import Before
from runtime.run.clip_plan import ClipPlan


class ClipPreview:
    """Collects the middle frame, and the first one in case the video ends early.

    Args:
        plan: plan of the video.
    """

    def __init__(self, plan: ClipPlan) -> None:
        self._plan = plan
        self._numbers = {0, plan.clip.frames // 2}
        self._befores: dict[int, Before] = {}
        self._previews: dict[int, Preview] = {}

    def wants(self, number: int) -> bool:
        """Return whether a frame may be shown."""
        return number in self._numbers

    def before(self, number: int, picture: Picture) -> None:
        """Add a source frame, which is not changed."""
        self._befores[number] = Before.of(self._upright(picture), self._plan.shown_hw)

    def after(self, number: int, picture: Picture) -> None:
        """Add the result of a frame; ignored without a source frame, as for repeated ones."""
        if number in self._befores:
            before = self._befores.pop(number)
            self._previews[number] = before.beside(self._upright(picture))

    @property
    def preview(self) -> Preview | None:
        """Preview of the middle frame, else of the first one; None if neither was seen."""
        return self._previews[max(self._previews)] if self._previews else None

    def _upright(self, picture: Picture) -> Picture:
        turn = self._plan.clip.turn
        if turn is None:
            return picture
        rgb_hwc = picture.rgb_hwc
        # The display matrix maps x' = a x + c y, y' = b x + d y.
        a, b, c, d = turn[0], turn[1], turn[3], turn[4]
        if self._plan.clip.is_on_its_side:
            rgb_hwc, a, d = rgb_hwc.transpose(1, 0, 2), c, b
        rgb_hwc = rgb_hwc[:, ::-1] if a < 0 else rgb_hwc
        rgb_hwc = rgb_hwc[::-1] if d < 0 else rgb_hwc
        return replace(picture, rgb_hwc=np.ascontiguousarray(rgb_hwc))
