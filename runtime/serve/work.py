"""The work for one request, from upload to result, in the stages of `dggn-run`."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.formats import WRITABLE_SUFFIXES, check_size
from runtime.codecs.header import Outline, read_outline
from runtime.codecs.output import OutputSettings, passes_for, target_size_hw
from runtime.errors import Cancelled
from runtime.jobs.ends import Files
from runtime.jobs.job import Job
from runtime.jobs.journal import Fingerprints
from runtime.jobs.stamp import SourceStamp
from runtime.run.route import Route
from runtime.run.stages import PictureUpscaler, Stages
from runtime.run.work import Work
from runtime.serve.sizes import Size
from runtime.tiles.backend import Backend
from runtime.video.settings import VideoSettings

UPLOAD = "picture"
"""File name of every upload, in a folder of its own; it says nothing about the format."""

_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tiff"}


class Waiting:
    """Progress of a request, written by its thread and read by the event loop."""

    def __init__(self) -> None:
        self.state = "waiting"
        self.share = 0.0

    def upscaling(
        self,
        name: str,
        source_size_hw: tuple[int, int],
        target_size_hw: tuple[int, int],
        *,
        frames: int = 1,
    ) -> None:
        """Record the start of inference."""
        self.state = "working"

    def upscaled(self, share: float) -> None:
        """Record the inferred share."""
        self.share = share


class NoRecord:
    """A journal that records nothing, since requests do not resume."""

    def begin(self, job: Job, source: SourceStamp, fingerprint: str) -> None:
        """Do nothing."""

    def finish(
        self, job: Job, source: SourceStamp, fingerprint: str, *, output_bytes: int | None = None
    ) -> None:
        """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A file to send."""

    path: Path
    source_size_hw: tuple[int, int]
    size_hw: tuple[int, int]
    frames: int = 1
    notes: tuple[str, ...] = ()


class PictureWork:
    """The work for one request.

    Args:
        upload: the file.
        settings: how the result is asked for.
        upscaler: of this request alone.
        lane: the upscaler's backend.
        route: opens the upload.
        outline: of the upload.
        progress: told how far it is.
    """

    def __init__(
        self,
        upload: Path,
        settings: OutputSettings,
        *,
        upscaler: PictureUpscaler,
        lane: Backend,
        route: Route,
        outline: Outline,
        progress: Waiting,
    ) -> None:
        self._stop = threading.Event()
        self._upscaler = upscaler
        self._lane = lane
        target = upload.with_name("result" + suffix_for(outline, settings))
        self._work = Work(job=Job(source=upload, target=target, name=UPLOAD))
        self._stages = Stages(
            upscaler,
            settings,
            route=route,
            source=Files(),
            journal=NoRecord(),
            fingerprints=Fingerprints(pictures="", clips=""),
            video=VideoSettings(),
            progress=progress,
            previews=False,
            stop=self._stop,
        )

    def run(self, size: Size) -> Result:
        """Do all the work, in a thread of its own.

        Args:
            size: of the picture.

        Raises:
            DggnError: it cannot be done.
            Cancelled: :meth:`cancel` was called.
        """
        work = self._work
        with size.hands:
            self._check()
            self._stages.fetch(work)
            self._stages.decode(work)
        if work.reader:
            self._stages.make_in_strips(work)
        else:
            self._stages.infer(work, lambda done: None)
            self._lane.finish()
            with size.hands:
                self._check()
                self._stages.encode(work)
        assert work.source_size_hw is not None
        assert work.target_size_hw is not None
        return Result(
            path=work.job.target,
            source_size_hw=work.source_size_hw,
            size_hw=work.target_size_hw,
            frames=work.frames,
            notes=tuple(work.notes),
        )

    def cancel(self) -> None:
        """Cancel from any thread: at the next tile, or at the end of a stage."""
        self._stop.set()
        self._lane.cancel()

    def _check(self) -> None:
        if self._stop.is_set():
            raise Cancelled


def suffix_for(outline: Outline, settings: OutputSettings) -> str:
    """Return the suffix of a result, given its content."""
    if settings.format != "same":
        return "." + settings.format
    suffix = _SUFFIXES.get(outline.format, "." + outline.format.lower())
    return suffix if suffix in WRITABLE_SUFFIXES else ".png"


def check_before(
    upload: Path, settings: OutputSettings, *, scale: int, max_pixels: int
) -> tuple[Outline, int]:
    """Refuse an upload whose header shows that it is too large or cannot be written.

    Returns:
        What the header tells, and how many bytes the largest result on the way takes.

    Raises:
        ImageError: it is refused.
        ConfigError: the scale asked for is larger than the model reaches.
    """
    outline = read_outline(upload, max_pixels=max_pixels)
    target_hw = target_size_hw(outline.size_hw, settings, scale)
    check_size(target_hw, Path("result" + suffix_for(outline, settings)))
    passes = passes_for([outline.size_hw], settings, scale)
    height, width = outline.size_hw
    sample_bytes = (4 if outline.has_alpha else 3) * (2 if outline.is_deep else 1)
    return outline, outline.frames * height * width * sample_bytes * scale ** (2 * passes)


def view(upload: Path, *, max_pixels: int) -> Result:
    """Return the upload's first frame as PNG, for browsers that cannot show its format.

    Raises:
        ImageError: it cannot be read.
    """
    picture = decode(upload, max_pixels=max_pixels)
    size_hw, frames = picture.size_hw, 1 + len(picture.more)
    target = upload.with_name("result.png")
    settings = OutputSettings(format="png")
    notes = encode(replace(picture, more=(), plays=None, duration_ms=None), target, settings)
    return Result(
        path=target, source_size_hw=size_hw, size_hw=size_hw, frames=frames, notes=tuple(notes)
    )
