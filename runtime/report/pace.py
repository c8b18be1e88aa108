"""Speed of a run, and an estimate of its remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable

from runtime.report.lines import duration

Clock = Callable[[], float]


class Pace:
    """Estimator of the time left, by megapixels of the sources if known.

    A picture's size is known once it is decoded; for the others, the mean is taken.

    Args:
        pictures: number of pictures to upscale.
        clock: seconds, monotonic.
    """

    def __init__(self, pictures: int, *, clock: Clock = time.monotonic) -> None:
        self._pictures = pictures
        self._clock = clock
        self._began_s = clock()
        self._known = 0
        # Work goes with the sources' sizes; what people count are those of the results.
        self._known_work = self._current_work = 0.0
        self._known_mp = self._current_mp = 0.0
        self._share = 1.0
        self.ended = 0

    def begin(
        self,
        source_size_hw: tuple[int, int],
        target_size_hw: tuple[int, int],
        *,
        frames: int = 1,
    ) -> None:
        """Start inference on a picture, or a video of several frames, with these sizes."""
        self._current_work = frames * source_size_hw[0] * source_size_hw[1] / 1e6
        self._current_mp = frames * target_size_hw[0] * target_size_hw[1] / 1e6
        self._known += 1
        self._known_work += self._current_work
        self._known_mp += self._current_mp
        self._share = 0.0

    def advance(self, share: float) -> None:
        """Record the inferred share of the current picture."""
        self._share = share

    def end(self, *, inferred: bool) -> None:
        """Record that a picture is finished; it may have failed before inference."""
        self.ended += 1
        if not inferred:
            self._pictures -= 1

    @property
    def done_mp(self) -> float:
        """Output megapixels inferred so far."""
        return self._known_mp - (1 - self._share) * self._current_mp

    @property
    def mp_per_s(self) -> float:
        """Output megapixels per second since the start."""
        return self.done_mp / self._passed_s

    @property
    def share(self) -> float:
        """Share of the whole work done, in [0, 1]."""
        return self._done_work / self._all_work if self._all_work else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds left; None until an estimate is possible."""
        if not self._done_work:
            return None
        return (self._all_work - self._done_work) * self._passed_s / self._done_work

    @property
    def _passed_s(self) -> float:
        return max(self._clock() - self._began_s, 1e-6)

    @property
    def _done_work(self) -> float:
        return self._known_work - (1 - self._share) * self._current_work

    @property
    def _all_work(self) -> float:
        if not self._known:
            return 0.0
        unknown = max(0, self._pictures - self._known)
        return self._known_work * (1 + unknown / self._known)


def pace_figures(pace: Pace, pictures: int) -> str:
    """Return the figures shown beside the bar."""
    left = "" if pace.left_s is None else f"  {duration(pace.left_s)} left"
    return f"{pace.ended}/{pictures} images  {pace.mp_per_s:.1f} MP/s{left}"
