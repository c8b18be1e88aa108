"""Decodes, upscales and encodes the frames of a video into segments.

    decode thread  ->  queue  ->  the inference thread  ->  in order  ->  encode thread

Frames go through the backend like pictures, several at once. Encoded segments are stored, so that a
killed run can resume.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from runtime.errors import Cancelled
from runtime.image.picture import Picture
from runtime.image.resize import fit_part
from runtime.run.clip_plan import ClipPlan
from runtime.run.clip_preview import ClipPreview
from runtime.run.in_order import InOrder
from runtime.system.budget import POLL_S
from runtime.tiles.stitch import OnTile
from runtime.video.reader import ClipReader, Frame, same_samples
from runtime.video.segment_encoder import SegmentEncoder
from runtime.video.segments import Segment, SegmentStore
from runtime.video.settings import VideoSettings

CUT_OFF_S, CUT_OFF_SHARE = Fraction(1, 4), Fraction(1, 50)
"""Tolerance for missing ends, since durations in files are inexact."""

JOIN_S = 30.0
"""Time for threads to end after an error, perhaps in the middle of a frame."""


class FrameUpscaler(Protocol):
    """The part of `Upscaler` that is needed here."""

    def submit_picture(
        self,
        picture: Picture,
        on_done: Callable[[Picture], None],
        *,
        on_tile: OnTile | None = None,
    ) -> None:
        """Upscale a picture now or later; see `Upscaler.submit_picture`."""

    def upscale_picture(self, picture: Picture, *, on_tile: OnTile | None = None) -> Picture:
        """Upscale a picture and wait for it; see `Upscaler.upscale_picture`."""

    def finish(self) -> None:
        """Wait until all that was submitted is done; see `Upscaler.finish`."""


@dataclass(frozen=True, kw_only=True)
class _Task:
    """A decoded frame."""

    frame: Frame
    picture: Picture | None
    """None if it is identical to the previous one."""
    is_done: bool = False
    """Whether an earlier run has encoded it, and only the report needs it."""


@dataclass(frozen=True, kw_only=True)
class _Made:
    """An upscaled frame; the last one has no frame and ends the clip."""

    frame: Frame | None = None
    picture: Picture | None = None


class ClipMaker:
    """Makes the missing segments of a video.

    Args:
        upscaler: upscaler, called only from the thread that calls `run`.
        plan: properties and encoder settings.
        video: settings for reading.
        store: segments, to which new ones are added.
        name: name of the result, for messages.
        most_frames: maximum number of upscaled frames in memory.
        on_frame: receives the number of finished frames.
        preview: collects frames for the report, if there is one.
        stop: set to cancel.
    """

    def __init__(
        self,
        upscaler: FrameUpscaler,
        plan: ClipPlan,
        video: VideoSettings,
        store: SegmentStore,
        *,
        name: str,
        most_frames: int,
        on_frame: Callable[[int], None],
        preview: ClipPreview | None,
        stop: threading.Event,
    ) -> None:
        self._upscaler = upscaler
        self._plan = plan
        self._store = store
        self._on_frame = on_frame
        self._preview = preview
        self._stop = stop
        self._given_up = threading.Event()
        self._errors: list[BaseException] = []
        self._reader = ClipReader(plan.clip, video, is_deep=plan.is_deep)
        self._encoder = SegmentEncoder(plan.encoding, name)
        self.resumed_at = store.frames
        self.frames = self.resumed_at
        """Number of frames in all segments."""
        self.repeated = 0
        """Number of frames identical to the previous one, which were not computed again."""
        self._decoded: queue.Queue[_Task | None] = queue.Queue(4)
        self._made: InOrder[_Made] = InOrder(self.resumed_at, most_frames, self._has_ended)

    def run(self) -> list[str]:
        """Make the segments; may be called once.

        Returns:
            Notes for the user.

        Raises:
            ImageError: the video is damaged or unsupported, or cannot be encoded.
            TargetError: a segment cannot be written.
            BackendError: the inference library failed.
            Cancelled: someone asked to stop.
        """
        threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._decode, self._encode)
        ]
        for thread in threads:
            thread.start()
        try:
            self._infer()
            threads[1].join()
        except Cancelled as error:
            self._errors.append(error)  # after the cause, if there is one
        finally:
            self._given_up.set()
            for thread in threads:
                thread.join(JOIN_S)
        if self._errors:
            raise self._errors[0]
        return self._notes()

    def _notes(self) -> list[str]:
        notes = self._reader.notes
        if self.resumed_at:
            notes.append(f"resumed from frame {self.resumed_at}")
        if self.repeated:
            notes.append(f"{self.repeated} repeated frames were not computed again")
        clip = self._plan.clip
        end = self._store.end * clip.time_base
        if clip.end is not None and clip.end - end > max(CUT_OFF_S, clip.end * CUT_OFF_SHARE):
            ends = f"{float(end):.2f} of {float(clip.end):.2f} s"
            notes.append(f"the file is truncated: its video ends after {ends}")
        return notes

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
            self._errors.append(error)
            self._given_up.set()

    def _has_ended(self) -> bool:
        return self._stop.is_set() or self._given_up.is_set()

    def _decode(self) -> None:
        before: Picture | None = None
        for frame in self._reader.frames():
            is_done = frame.number < self.resumed_at
            if is_done and not (self._preview and self._preview.wants(frame.number)):
                if self._has_ended():
                    raise Cancelled
                continue
            picture = self._reader.picture(frame)
            is_repeated = before is not None and same_samples(before, picture)
            before = None if is_done else picture
            self._hand(
                _Task(frame=frame, picture=None if is_repeated else picture, is_done=is_done)
            )
        self._hand(None)

    def _hand(self, task: _Task | None) -> None:
        while not self._has_ended():
            try:
                return self._decoded.put(task, timeout=POLL_S)
            except queue.Full:
                continue
        raise Cancelled

    def _infer(self) -> None:
        try:
            last = self.resumed_at - 1
            for task in self._tasks():
                if task.is_done:
                    self._show_again(task)
                    continue
                last = task.frame.number
                self._submit(task)
            self._upscaler.finish()
            self._made.put(last + 1, _Made())
        except BaseException:
            self._given_up.set()
            raise

    def _tasks(self) -> Iterator[_Task]:
        while True:
            try:
                task = self._decoded.get_nowait()
            except queue.Empty:
                self._upscaler.finish()  # nothing more to fill a batch with
                task = self._get()
            if task is None:
                return
            yield task

    def _get(self) -> _Task | None:
        while not self._has_ended():
            try:
                return self._decoded.get(timeout=POLL_S)
            except queue.Empty:
                continue
        raise Cancelled

    def _submit(self, task: _Task) -> None:
        if not self._made.has_room():
            self._upscaler.finish()  # frames that will free room may wait for a full batch
        self._made.reserve()
        frame, picture = task.frame, task.picture
        if picture is None:
            self.repeated += 1
            self._made.put(frame.number, _Made(frame=frame))
            return
        if self._preview and self._preview.wants(frame.number):
            self._preview.before(frame.number, picture)
        if self._plan.passes == 2:
            picture = self._upscaler.upscale_picture(picture)
        self._upscaler.submit_picture(
            picture, lambda made: self._made.put(frame.number, _Made(frame=frame, picture=made))
        )

    def _show_again(self, task: _Task) -> None:
        """Upscale a frame for the report that an earlier run has already encoded."""
        assert self._preview is not None
        assert task.picture is not None
        self._preview.before(task.frame.number, task.picture)
        picture = task.picture
        for _ in range(self._plan.passes):
            picture = self._upscaler.upscale_picture(picture)
        self._preview.after(task.frame.number, self._fitted(picture))

    def _fitted(self, picture: Picture) -> Picture:
        size_hw = self._plan.encoding.size_hw
        return picture if picture.size_hw == size_hw else fit_part(picture, size_hw)

    def _encode(self) -> None:
        last: Picture | None = None
        while True:
            made = self._made.take()
            if made.frame is None:
                break
            last = self._fitted(made.picture) if made.picture is not None else last
            assert last is not None
            if self._preview and self._preview.wants(made.frame.number):
                self._preview.after(made.frame.number, last)
            self._keep(self._encoder.add(last.rgb_hwc, made.frame.stamp, made.frame.duration))
            self._made.release()
            self.frames += 1
            self._on_frame(self.frames)
        self._keep(self._encoder.finish())

    def _keep(self, segment: Segment | None) -> None:
        if segment is not None:
            self._store.add(segment)
