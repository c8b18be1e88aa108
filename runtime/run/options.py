"""The user's options, and functions that open what they name."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from runtime.backends.fetch import local_model
from runtime.backends.request import BackendRequest
from runtime.codecs.output import OutputSettings
from runtime.jobs.shard import Shard
from runtime.report.progress import Progress
from runtime.run.ends import Ends, Place, open_ends
from runtime.run.memory import RESULT_SHARE, default_memory_bytes
from runtime.upscaler import Upscaler
from runtime.video.settings import VideoSettings


@dataclass(frozen=True, kw_only=True)
class Options:
    """The user's options."""

    source: Place
    target: Place
    settings: OutputSettings = field(default_factory=OutputSettings)
    model: str | None = None
    """Shipped model, ONNX file or URL; None for the default, see `Upscaler`."""
    request: BackendRequest = field(default_factory=BackendRequest)
    """Backend request; its messages go to the progress display."""
    denoise: float | None = None
    """Strength of denoising, for models for photographs; None for the model as it is."""
    shard: Shard | None = None
    """Part of INPUT to do; None for all of it."""
    video: VideoSettings = field(default_factory=VideoSettings)
    """Settings for videos."""
    suffix: str = ""
    overlap: int | None = None
    jobs: int | None = None
    memory_bytes: int | None = None
    """Memory limit for pictures, above which they are made in strips; None for all that is
    available.
    """
    overwrite: bool = False
    keep_results: bool = False
    """Whether the report lists every file; if not, memory does not grow with their number."""
    page: Path | None = None
    """Path of the HTML report; None for none."""


def open_upscaler(options: Options, progress: Progress) -> Upscaler:
    """Open the requested upscaler.

    Raises:
        DggnError: see `Upscaler`.
    """
    model = options.model
    if model is not None:
        model = local_model(model, say=progress.say, bar=progress.fetching)
    request = replace(options.request, say=progress.say)
    return Upscaler.from_request(model, request, overlap=options.overlap, denoise=options.denoise)


def result_bytes(options: Options) -> int:
    """Return the memory limit for results made whole."""
    if options.memory_bytes is None:
        return default_memory_bytes()
    return options.memory_bytes // RESULT_SHARE


def ends_of(options: Options) -> AbstractContextManager[Ends]:
    """Open the work of a run; see `open_ends`."""
    return open_ends(
        options.source,
        options.target,
        options.settings,
        suffix=options.suffix,
        shard=options.shard,
    )
