"""One run of `dggn-run`: plan, skip what is done, and process the rest."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from runtime.backends.fetch import local_model
from runtime.backends.request import BackendRequest
from runtime.codecs.formats import READABLE_SUFFIXES
from runtime.codecs.output import SIZE_OPTIONS, OutputSettings, target_size_hw
from runtime.errors import Cancelled, ConfigError
from runtime.jobs.journal import Fingerprints, Journal, settings_fingerprint
from runtime.jobs.plan import Job, Plan, plan_jobs
from runtime.jobs.result import FileResult
from runtime.jobs.stamp import canonical_path
from runtime.model.info import DEFAULT_MODEL
from runtime.report.page import HtmlReport
from runtime.report.progress import Progress
from runtime.report.summary import Report
from runtime.run.memory import RESULT_SHARE, default_memory_bytes
from runtime.run.pipeline import Pipeline, default_jobs
from runtime.system.files import (
    make_folder,
    name_problem,
    remove_temporaries,
    remove_unfinished,
)
from runtime.upscaler import Upscaler
from runtime.video.formats import CLIP_SUFFIXES, is_clip
from runtime.video.settings import VideoSettings

FOREIGN = "the output exists, but was not made by dggn-run; use --overwrite to replace it"
PICTURES_ONLY = ("format", "quality")
"""Settings that do not affect videos."""

REFUSE_LESS = ("video_deinterlace", "video_hdr")
"""Settings that only allow more kinds of video, without an effect on others."""

OF_ANOTHER = (
    "the output exists, and is the result of another picture, {}; choose another OUTPUT or a "
    "--suffix, or use --overwrite to replace it"
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The user's options."""

    source: Path
    target: Path
    settings: OutputSettings = field(default_factory=OutputSettings)
    model: str = DEFAULT_MODEL
    request: BackendRequest = field(default_factory=BackendRequest)
    """Backend request; its messages go to the progress display."""
    denoise: float | None = None
    """Strength of denoising, for models for photographs; None for the model as it is."""
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


class Batch:
    """A run over everything that the options select.

    Args:
        options: the user's options.
        progress: receives the progress.
    """

    def __init__(self, options: Options, progress: Progress) -> None:
        self.report = Report()
        self._options = options
        self._progress = progress
        self._pipeline: Pipeline | None = None
        self._folders: frozenset[Path] = frozenset()
        self._cancelled = threading.Event()
        self._has_waited = False
        self._page: HtmlReport | None = None

    def run(self) -> None:
        """Run to the end; call once.

        Raises:
            DggnError: nothing can be done, or the rest cannot.
            Cancelled: :meth:`cancel` was called.
        """
        options, report, progress = self._options, self.report, self._progress
        plan = plan_for(options)
        report.plan = plan
        with open_upscaler(options, progress) as upscaler:
            fingerprints = describe(report, options, upscaler)
            make_folder(plan.folder)
            if options.page:
                self._page = HtmlReport(options.page)
            with Journal(plan.folder, wait=self._wait if plan.is_one_file else None) as journal:
                self._introduce(plan, upscaler)
                todo = self._sort_out(plan, journal, fingerprints)
                folders = {job.target.parent for job in plan.jobs}
                self._folders = frozenset(one for one in folders if not name_problem(one / "a"))
                for folder in self._folders:
                    make_folder(folder)
                remove_temporaries(self._folders)
                self._pipeline = Pipeline(
                    upscaler,
                    options.settings,
                    journal=journal,
                    fingerprints=fingerprints,
                    video=options.video,
                    progress=progress,
                    jobs=options.jobs or default_jobs(on_gpu=upscaler.on_gpu),
                    previews=self._page is not None,
                    memory_bytes=result_bytes(options),
                    whole_bytes=result_bytes(options),
                )
                self._upscale(self._pipeline, todo)
        progress.say(report.totals.summary)

    def write_page(self) -> None:
        """Write the HTML report if requested; call last, however the run ended.

        Raises:
            TargetError: it cannot be written.
        """
        page, self._page = self._page, None
        if page:
            page.finish(self.report)

    def cancel(self, *, within_s: float) -> None:
        """Stop from another thread, leaving only complete files.

        Args:
            within_s: how long to wait for files that are being written. What is not complete
                by then is removed, and must not be given more time: end the process.
        """
        self._cancelled.set()
        if self._pipeline:
            self._pipeline.cancel()
            self._pipeline.join(timeout_s=within_s)
        self._progress.stop()
        remove_unfinished()
        remove_temporaries(self._folders)

    def _wait(self, seconds: float) -> None:
        """Wait for another run into the same folder; announced once."""
        if not self._has_waited:
            self._has_waited = True
            self._progress.say("waiting for another dggn-run that is writing to the same folder")
        if self._cancelled.wait(seconds):
            raise Cancelled

    def _introduce(self, plan: Plan, upscaler: Upscaler) -> None:
        why = f"; {upscaler.why}" if upscaler.why else ""
        self._progress.say(upscaler.description + why)
        if plan.ignored:
            self._progress.say(f"ignored in {self._options.source}: {plan.ignored}")

    def _sort_out(self, plan: Plan, journal: Journal, fingerprints: Fingerprints) -> list[Job]:
        """Report pictures that need no work, and return the rest."""
        todo, settled = sort_out(plan, journal, fingerprints, overwrite=self._options.overwrite)
        for result in settled:
            self._add(result)
        return todo

    def _upscale(self, pipeline: Pipeline, todo: list[Job]) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        began = time.monotonic()
        self._progress.start(len(todo))
        try:
            for result in pipeline.run(todo):
                self.report.totals.seconds = time.monotonic() - began
                self._add(result)
        finally:
            self._progress.stop()

    def _add(self, result: FileResult) -> None:
        self.report.totals.add(result)
        if self._page:
            self._page.add(result)
        if self._options.keep_results:
            self.report.files.append(replace(result, preview=None))
        self._progress.finished(result)


def open_upscaler(options: Options, progress: Progress) -> Upscaler:
    """Open the requested upscaler.

    Raises:
        DggnError: see `Upscaler`.
    """
    model = local_model(options.model, say=progress.say, bar=progress.fetching)
    request = replace(options.request, say=progress.say)
    return Upscaler.from_request(model, request, overlap=options.overlap, denoise=options.denoise)


def result_bytes(options: Options) -> int:
    """Return the memory limit for results made whole."""
    if options.memory_bytes is None:
        return default_memory_bytes()
    return options.memory_bytes // RESULT_SHARE


def plan_for(options: Options) -> Plan:
    """Plan the work and its targets.

    Raises:
        ConfigError: there is nothing to do, or the options are invalid.
    """
    plan = plan_jobs(options.source, options.target, options.settings, suffix=options.suffix)
    if not plan.jobs and not plan.unreadable:
        raise ConfigError(
            f"no pictures in {options.source}; ignored: {plan.ignored or 'nothing'}. "
            f"Expected files ending in {', '.join(sorted(READABLE_SUFFIXES | CLIP_SUFFIXES))}"
        )
    return plan


def describe(report: Report, options: Options, upscaler: Upscaler) -> Fingerprints:
    """Add the model, backend and settings to a report.

    Returns:
        The fingerprints of model and settings.

    Raises:
        ConfigError: the requested scale is beyond the model.
    """
    settings = options.settings
    if settings.scale is not None:  # other sizes depend on the picture
        target_size_hw((1, 1), settings, upscaler.info.scale)
    report.model, report.runs_on = options.model, upscaler.description
    report.model_sha256 = upscaler.model_sha256
    report.precision = upscaler.precision
    report.settings = {
        "tile_size": upscaler.tile_size,
        "overlap": upscaler.overlap,
        **asdict(settings),
    }
    if not any(getattr(settings, name) is not None for name in SIZE_OPTIONS):
        report.settings["scale"] = float(upscaler.info.scale)
    # Allowing a second pass changes no result of one.
    decisive = {name: value for name, value in report.settings.items() if name != "second_pass"}
    decisive["model"] = upscaler.model_sha256
    of_clips = {name: value for name, value in decisive.items() if name not in PICTURES_ONLY}
    video = {f"video_{name}": value for name, value in asdict(options.video).items()}
    of_clips |= {name: value for name, value in video.items() if name not in REFUSE_LESS}
    if report.plan and any(is_clip(job.source) for job in report.plan.jobs):
        report.settings |= video
    if options.denoise is not None:  # decides through the model's content
        report.settings["denoise"] = options.denoise
    return Fingerprints(
        pictures=settings_fingerprint(decisive), clips=settings_fingerprint(of_clips)
    )


def sort_out(
    plan: Plan, journal: Journal, fingerprints: Fingerprints, *, overwrite: bool
) -> tuple[list[Job], list[FileResult]]:
    """Separate the pictures to upscale from those that need no work.

    Returns:
        The jobs to do, and the results of everything else.

    Raises:
        TargetError: the journal cannot be written.
    """
    todo = []
    settled = [
        FileResult(name=name, status="failed", message=message) for name, message in plan.unreadable
    ]
    sources = {canonical_path(job.source) for job in plan.jobs}
    for job in plan.jobs:
        if problem := name_problem(job.target):
            message = f"{problem}: shorten the name, or choose another OUTPUT"
            settled.append(FileResult(name=job.name, status="failed", message=message))
        elif overwrite:
            todo.append(job)
        elif journal.is_foreign(job):
            settled.append(FileResult(name=job.name, status="skipped", message=FOREIGN))
        elif journal.is_done(job, fingerprints.of(job)):
            settled.append(FileResult(name=job.name, status="skipped", target=str(job.target)))
        elif (other := journal.made_from(job)) and other not in sources:
            message = OF_ANOTHER.format(other)
            settled.append(FileResult(name=job.name, status="skipped", message=message))
        else:
            todo.append(job)
    return todo, settled
