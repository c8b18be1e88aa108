"""Time stamps: of frames in the order they are shown, and of packets in the order they are read."""

from __future__ import annotations

from collections.abc import Sequence


class Stamps:
    """Gives every frame a time stamp after that of the one before.

    Args:
        usual: how long a frame is shown where nothing tells, in ticks of the clip's time base.
    """

    def __init__(self, usual: int) -> None:
        self._usual = max(1, usual)
        self._last: int | None = None
        self._last_duration = 0
        self.made_up = 0
        """How many were missing, or not after the one before."""

    def next(self, stamp: int | None, duration: int) -> tuple[int, int]:
        """A frame's time stamp and duration.

        Args:
            stamp: as the file has it; None where it has none.
            duration: likewise; 0 where it has none.
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
    """By how many frames packets must be read ahead of their being shown.

    Args:
        order: numbers of frames in the order of their packets, each once.
    """
    return max((place - number for place, number in enumerate(order)), default=0)


def decoding_stamps(stamps: Sequence[int], ahead: int, usual: int) -> list[int]:
    """When each packet is read: strictly rising, and never after its frame is shown.

    Args:
        stamps: of the frames in the order they are shown, strictly rising.
        ahead: at least what `reordering` found of any part that is encoded by itself.
        usual: ticks between frames, for what lies before the first one.
    """
    first = [stamps[0] - (ahead - number) * max(1, usual) for number in range(ahead)]
    return [*first, *stamps][: len(stamps)]
