"""Presentation and decoding time stamps."""

from __future__ import annotations

from collections.abc import Sequence


class Stamps:
    """Gives every frame a time stamp later than the previous one's.

    Args:
        usual: default duration of a frame, in ticks of the video's time base.
    """

    def __init__(self, usual: int) -> None:
        self._usual = max(1, usual)
        self._last: int | None = None
        self._last_duration = 0
        self.made_up = 0
        """Number of time stamps that were missing or not later than the previous one."""

    def next(self, stamp: int | None, duration: int) -> tuple[int, int]:
        """Return the time stamp and duration of the next frame.

        Args:
            stamp: time stamp in the file; None if missing.
            duration: duration in the file; 0 if missing.
        """
        shown = duration if duration > 0 else self._usual
        if self._last is None:
            made = 0 if stamp is None else stamp
        elif stamp is None:
            made = self._last + (self._last_duration or self._usual)
        else:
            made = max(stamp, self._last + 1)
        if made != stamp:
            self.made_up += 1
        self._last, self._last_duration = made, shown
        return made, shown


def reordering(order: Sequence[int]) -> int:
    """Return how many frames earlier than its presentation a packet must be decoded.

    Args:
        order: frame numbers in packet order, each once.
    """
    return max((place - number for place, number in enumerate(order)), default=0)


def decoding_stamps(stamps: Sequence[int], ahead: int, usual: int) -> list[int]:
    """Return the decoding time stamp of each packet.

    They rise strictly, and none is later than the presentation of its frame.

    Args:
        stamps: presentation time stamps, strictly rising.
        ahead: maximum of `reordering` over all segments.
        usual: ticks between frames, used before the first one.
    """
    first = [stamps[0] - (ahead - number) * max(1, usual) for number in range(ahead)]
    return [*first, *stamps][: len(stamps)]
