"""FFmpeg filters: conversion between frames and RGB, and deinterlacing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from runtime.image.picture import Samples, repeat_grey
from runtime.video.colours import FULL, MATRICES
from runtime.video.library import pyav

if TYPE_CHECKING:
    from av import VideoFrame

# Without these flags, swscale is up to three levels off, depending on the processor.
_SCALER = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"

_SELF_LOCATING = frozenset(
    {"h264", "hevc", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "wmv3"}
)
"""Decoders that report where chroma samples lie; for others, players assume the left."""

_SCALER_MATRICES = MATRICES | {5: "bt470", 9: "bt2020"}
"""The scaler's names, of which two differ."""

_GREY_BITS = {"gray": 8, "gray10le": 10, "gray12le": 12, "gray14le": 14, "gray16le": 16}


class Filter:
    """A chain of filters for frames of one size and format.

    Args:
        size_hw: height and width of the frames.
        pixel_format: FFmpeg name of their format.
        chain: filter names with their arguments.
    """

    def __init__(
        self, size_hw: tuple[int, int], pixel_format: str, chain: Sequence[tuple[str, str]]
    ) -> None:
        self._again, self._end = pyav().error.BlockingIOError, pyav().error.EOFError
        self._graph = graph = pyav().filter.Graph()
        graph.threads = 1
        last = graph.add_buffer(
            width=size_hw[1], height=size_hw[0], format=pixel_format, time_base=Fraction(1, 1000)
        )
        for name, arguments in chain:
            following = graph.add(name, arguments)
            last.link_to(following)
            last = following
        last.link_to(sink := graph.add("buffersink"))
        del sink
        graph.configure()

    def push(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """Filter a frame; None flushes the filters.

        Yields:
            Filtered frames, perhaps of earlier calls.
        """
        self._graph.vpush(frame)
        while True:
            try:
                yield self._graph.vpull()
            except (self._again, self._end):
                return

    def one(self, frame: VideoFrame) -> VideoFrame:
        """Filter a frame that yields exactly one."""
        (result,) = self.push(frame)
        return result


def deinterlacer(frame: VideoFrame) -> Filter:
    """Return a filter that deinterlaces interlaced frames and passes on the others.

    It is one frame late, because it looks at the next one.
    """
    chain = [("bwdif", "mode=send_frame:parity=auto:deint=interlaced")]
    return Filter((frame.height, frame.width), frame.format.name, chain)


class ToRgb:
    """Converts frames to RGB samples.

    Args:
        codec: FFmpeg name of the decoder.
        is_deep: whether samples have 16 bits instead of 8.
    """

    def __init__(self, codec: str, *, is_deep: bool) -> None:
        self._chroma = "auto" if codec in _SELF_LOCATING else "left"
        self._format = "rgb48le" if is_deep else "rgb24"
        self._key: tuple[object, ...] | None = None
        self._filter: Filter | None = None

    def samples(self, frame: VideoFrame, matrix: int, sample_range: int) -> Samples:
        """Convert a frame.

        Args:
            frame: a frame in any format that FFmpeg's scaler reads.
            matrix: one of `MATRICES`.
            sample_range: `LIMITED` or `FULL`.

        Returns:
            (H, W, 3), uint8 or uint16, RGB over the type's full range. With 16 bits, white is
            65280 instead of 65535: FFmpeg's own convention, which `FromRgb` shares.
        """
        size_hw, pixel_format = (frame.height, frame.width), frame.format.name
        if pixel_format in _GREY_BITS:
            return _grey_samples(frame, sample_range, is_deep=self._format == "rgb48le")
        key = (size_hw, pixel_format, matrix, sample_range)
        if key != self._key:
            self._key, self._filter = key, self._made(size_hw, pixel_format, matrix, sample_range)
        assert self._filter is not None
        return cast(Samples, self._filter.one(frame).to_ndarray())

    def _made(
        self, size_hw: tuple[int, int], pixel_format: str, matrix: int, sample_range: int
    ) -> Filter:
        tags = f"range={_range(sample_range)}:colorspace={MATRICES[matrix]}"
        scale = f"{_SCALER}:in_range={_range(sample_range)}:out_range=full"
        scale += f":in_chroma_loc={self._chroma}"
        chain = [("setparams", tags), ("scale", scale), ("format", self._format)]
        return Filter(size_hw, pixel_format, chain)


class FromRgb:
    """Converts RGB samples to frames; subsampled chroma lies at the left.

    Args:
        size_hw: height and width of all pictures.
        pixel_format: FFmpeg name of the frames' format.
        matrix: one of `MATRICES`, for YUV.
        sample_range: `LIMITED` or `FULL`.
    """

    def __init__(
        self, size_hw: tuple[int, int], pixel_format: str, matrix: int, sample_range: int
    ) -> None:
        scale = f"{_SCALER}:in_range=full:out_range={_range(sample_range)}:out_chroma_loc=left"
        scale += f":out_color_matrix={_SCALER_MATRICES[matrix]}"
        self._chain = [
            ("setparams", "range=full:colorspace=gbr"),
            ("scale", scale),
            ("format", pixel_format),
        ]
        self._size_hw = size_hw
        self._filters: dict[str, Filter] = {}

    def frame(self, rgb_hwc: Samples) -> VideoFrame:
        """Convert samples to a frame.

        Args:
            rgb_hwc: (H, W, 3), uint8 or uint16, RGB over the type's full range.
        """
        name = "rgb24" if rgb_hwc.dtype == np.uint8 else "rgb48le"
        if name not in self._filters:
            self._filters[name] = Filter(self._size_hw, name, self._chain)
        array: Any = np.ascontiguousarray(rgb_hwc)
        frame = pyav().VideoFrame.from_ndarray(array, format=name)
        return self._filters[name].one(frame)


def _grey_samples(frame: VideoFrame, sample_range: int, *, is_deep: bool) -> Samples:
    """Convert grey frames here, since FFmpeg's scaler treats all grey as full range."""
    bits = _GREY_BITS[frame.format.name]
    plane: Any = frame.planes[0]
    kind = np.dtype("u1" if bits == 8 else "<u2")
    rows = np.frombuffer(plane, kind).reshape(frame.height, -1)[:, : frame.width]
    black, white = (0, 2**bits - 1) if sample_range == FULL else (16 << bits - 8, 235 << bits - 8)
    full, result = (65535, np.uint16) if is_deep else (255, np.uint8)
    grey = np.clip(np.rint((rows.astype(np.float64) - black) * (full / (white - black))), 0, full)
    return repeat_grey(cast(Samples, grey.astype(result)))


def _range(sample_range: int) -> str:
    return "full" if sample_range == FULL else "limited"
