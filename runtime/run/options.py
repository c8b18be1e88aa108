"""What a user asks for, and what is opened for it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from runtime.backends.fetch import local_model
from runtime.backends.request import BackendRequest
from runtime.codecs.output import OutputSettings
from runtime.jobs.shard import Shard
from runtime.model.info import DEFAULT_MODEL
from runtime.report.progress import Progress
from runtime.run.ends import Ends, Place, open_ends
from runtime.run.memory import RESULT_SHARE, default_memory_bytes
from runtime.upscaler import Upscaler


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user asks for."""

    source: Place
    target: Place
    settings: OutputSettings = field(default_factory=OutputSettings)
    model: str = DEFAULT_MODEL
    request: BackendRequest = field(default_factory=BackendRequest)
    """What is to run the model; its messages go to the progress."""
    shard: Shard | None = None
    """The part of INPUT to do; None for all of it."""
    suffix: str = ""
    overlap: int | None = None
    jobs: int | None = None
    memory_bytes: int | None = None
    """That pictures may take; what would take more is made in strips. None for all there is."""
    overwrite: bool = False
    keep_results: bool = False
    """Whether the report lists every file; off, memory does not grow with their number."""
    page: Path | None = None
    """Where to write a page for people to look at; None for nowhere."""


def open_upscaler(options: Options, progress: Progress) -> Upscaler:
    """The upscaler that is asked for.

    Raises:
        DggnError: see `Upscaler`.
    """
    model = local_model(options.model, say=progress.say, bar=progress.fetching)
    request = replace(options.request, say=progress.say)
    return Upscaler.from_request(model, request, overlap=options.overlap)


def result_bytes(options: Options) -> int:
    """How much of the memory results may take that are made as a whole."""
    if options.memory_bytes is None:
        return default_memory_bytes()
    return options.memory_bytes // RESULT_SHARE


def ends_of(options: Options) -> AbstractContextManager[Ends]:
    """What is to be done, and where; see `open_ends`."""
    return open_ends(
        options.source,
        options.target,
        options.settings,
        suffix=options.suffix,
        shard=options.shard,
    )
