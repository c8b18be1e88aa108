"""Encodes pictures into segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.errors import ImageWriteError
from runtime.image.picture import Samples
from runtime.video.encoding import SEGMENT_FRAMES, Encoding, open_encoder
from runtime.video.filters import FromRgb
from runtime.video.library import writing
from runtime.video.segments import Packet, Segment

if TYPE_CHECKING:
    from av import VideoCodecContext
    from av.packet import Packet as EncodedPacket
    from av.stream import Stream

_REMEDY = "Choose another --video-codec or --preset"


class SegmentEncoder:
    """Encodes frames into segments of `SEGMENT_FRAMES`.

    Each segment has an encoder of its own, so that it does not depend on whether the previous one
    was made in this run or in an earlier one.

    Args:
        encoding: encoder settings.
        name: name of the result, for messages.
    """

    def __init__(self, encoding: Encoding, name: str) -> None:
        self._encoding = encoding
        self._name = name
        colours = encoding.colours
        self._from_rgb = FromRgb(
            encoding.size_hw, encoding.pixel_format, colours.matrix, colours.range
        )
        self._context: VideoCodecContext | None = None
        self._packets: list[Packet] = []
        self._stamps: list[int] = []
        self._last_duration = 0

    def add(self, rgb_hwc: Samples, stamp: int, duration: int) -> Segment | None:
        """Encode one frame.

        Args:
            rgb_hwc: (H, W, 3), uint8 or uint16, RGB over the type's full range; of the encoding's
                size.
            stamp: presentation time stamp.
            duration: duration in the same unit.

        Returns:
            The segment completed by this frame, if any.

        Raises:
            ImageWriteError: the encoder failed.
        """
        if self._context is None:
            self._context = open_encoder(self._encoding, self._name)
        with writing(self._name, _REMEDY):
            frame = self._from_rgb.frame(rgb_hwc)
            colours = self._encoding.colours
            frame.color_primaries, frame.color_trc = colours.primaries, colours.transfer
            frame.colorspace, frame.color_range = colours.matrix, colours.range
            # Frame numbers instead of times, so that packets depend on the frames alone, and any
            # time base will do.
            frame.pts, frame.time_base = len(self._stamps), self._context.time_base
            self._keep(self._context.encode(frame))
        self._stamps.append(stamp)
        self._last_duration = duration
        return self.finish() if len(self._stamps) == SEGMENT_FRAMES else None

    def finish(self) -> Segment | None:
        """Complete the current segment; return None if it is empty.

        Raises:
            ImageWriteError: the encoder failed, or did not write one packet per frame.
        """
        if self._context is None:
            return None
        with writing(self._name, _REMEDY):
            self._keep(self._context.encode(None))
        segment = Segment(
            stamps=self._stamps, last_duration=self._last_duration, packets=self._packets
        )
        self._context, self._packets, self._stamps = None, [], []
        if sorted(segment.order) != list(range(len(segment.stamps))):
            raise ImageWriteError(
                f"{self._name}: the encoder {self._encoding.encoder} wrote {len(segment.packets)} "
                f"packets for {len(segment.stamps)} frames: choose another --video-codec"
            )
        return segment

    def _keep(self, packets: Sequence[EncodedPacket[Stream]]) -> None:
        for packet in packets:
            assert packet.pts is not None
            self._packets.append(
                Packet(frame=packet.pts, is_key=packet.is_keyframe, data=bytes(packet))
            )
