"""One run of `dggn-run`: what to do, what is done already, and the rest through the pipeline."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from runtime.backends.fetch import local_model
from runtime.backends.request import BackendRequest
from runtime.codecs.output import SIZE_OPTIONS, OutputSettings, target_size_hw
from runtime.errors import Cancelled
from runtime.jobs.ends import Ledger
from runtime.jobs.journal import settings_fingerprint
from runtime.jobs.plan import Job, Plan
from runtime.jobs.result import FileResult
from runtime.jobs.shard import Shard
from runtime.model.info import DEFAULT_MODEL
from runtime.report.page import HtmlReport
from runtime.report.progress import Progress
from runtime.report.summary import Report
from runtime.run.ends import Ends, Place, open_ends
from runtime.run.memory import RESULT_SHARE, default_memory_bytes
from runtime.run.pipeline import Pipeline, default_jobs
from runtime.system.files import (
    make_folder,
    name_problem,
    remove_temporaries,
    remove_unfinished,
)
from runtime.upscaler import Upscaler

FOREIGN = "the output exists, but was not made by dggn-run; use --overwrite to replace it"
OF_ANOTHER = (
    "the output exists, and is the result of another picture, {}; choose another OUTPUT or a "
    "--suffix, or use --overwrite to replace it"
)


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


class Batch:
    """Upscales everything that the options ask for.

    Args:
        options: what to do.
        progress: told how it goes.
    """

    def __init__(self, options: Options, progress: Progress) -> None:
        self.report = Report()
        self._options = options
        self._progress = progress
        self._pipeline: Pipeline | None = None
        self._folders: frozenset[Path] = frozenset()
        self._own_targets: frozenset[Path] | None = None
        self._cancelled = threading.Event()
        self._has_waited = False
        self._page: HtmlReport | None = None

    def run(self) -> None:
        """Do it all; to be called once.

        Raises:
            DggnError: nothing could be done, or the rest cannot be.
            Cancelled: :meth:`cancel` was called.
        """
        options, report, progress = self._options, self.report, self._progress
        with ExitStack() as stack:
            ends = stack.enter_context(ends_of(options))
            report.plan = plan = ends.plan
            upscaler = stack.enter_context(open_upscaler(options, progress))
            fingerprint = describe(report, options, upscaler)
            make_folder(plan.folder)
            if options.page:
                self._page = HtmlReport(options.page)
            with ends.open_ledger(wait=self._wait) as journal:
                self._introduce(plan, upscaler)
                todo = self._sort_out(plan, journal, fingerprint)
                folders = {job.target.parent for job in plan.jobs}
                self._folders = frozenset(one for one in folders if not name_problem(one / "a"))
                for folder in self._folders:
                    make_folder(folder)
                if options.shard or plan.is_one_file:
                    self._own_targets = frozenset(job.target for job in plan.jobs)
                remove_temporaries(self._folders, of=self._own_targets)
                self._pipeline = Pipeline(
                    upscaler,
                    options.settings,
                    journal=journal,
                    fingerprint=fingerprint,
                    progress=progress,
                    source=ends.source,
                    jobs=options.jobs or default_jobs(on_gpu=upscaler.on_gpu),
                    previews=self._page is not None,
                    memory_bytes=result_bytes(options),
                    whole_bytes=result_bytes(options),
                )
                self._upscale(self._pipeline, todo)
        progress.say(report.totals.summary)

    def write_page(self) -> None:
        """Write the page for people, if one is wanted; to be called last, however it ended.

        Raises:
            TargetError: it cannot be written.
        """
        page, self._page = self._page, None
        if page:
            page.finish(self.report)

    def cancel(self, *, within_s: float) -> None:
        """Stop from another thread; leaves complete files only.

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
        remove_temporaries(self._folders, of=self._own_targets)

    def _wait(self, seconds: float) -> None:
        """Wait for another run into the same folder; said once."""
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
        if self._options.shard:
            pictures = len(plan.jobs) + len(plan.others)
            self._progress.say(
                f"shard {self._options.shard}: {len(plan.jobs)} of {pictures} pictures"
            )

    def _sort_out(self, plan: Plan, journal: Ledger, fingerprint: str) -> list[Job]:
        """Report what needs no work, and return the rest."""
        todo, settled = sort_out(plan, journal, fingerprint, overwrite=self._options.overwrite)
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


def describe(report: Report, options: Options, upscaler: Upscaler) -> str:
    """Say in a report what results are made with.

    Returns:
        The fingerprint of model and settings.

    Raises:
        ConfigError: the scale asked for is larger than the model reaches.
    """
    settings = options.settings
    if settings.scale is not None:  # other sizes depend on the picture
        target_size_hw((1, 1), settings, upscaler.info.scale)
    report.shard = str(options.shard) if options.shard else None
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
    return settings_fingerprint({"model": upscaler.model_sha256, **decisive})


def sort_out(
    plan: Plan, journal: Ledger, fingerprint: str, *, overwrite: bool
) -> tuple[list[Job], list[FileResult]]:
    """Tell what is to be upscaled from what needs no work.

    Returns:
        The jobs to do, and the results of everything else.

    Raises:
        TargetError: the journal cannot be written.
    """
    todo = []
    settled = [
        FileResult(name=name, status="failed", message=message) for name, message in plan.unreadable
    ]
    sources = {job.place for job in (*plan.jobs, *plan.others)}
    for job in plan.jobs:
        if problem := name_problem(job.target):
            message = f"{problem}: shorten the name, or choose another OUTPUT"
            settled.append(FileResult(name=job.name, status="failed", message=message))
        elif overwrite:
            todo.append(job)
        elif journal.is_foreign(job):
            settled.append(FileResult(name=job.name, status="skipped", message=FOREIGN))
        elif journal.is_done(job, fingerprint):
            settled.append(FileResult(name=job.name, status="skipped", target=job.shown_target))
        elif (other := journal.made_from(job)) and other not in sources:
            message = OF_ANOTHER.format(other)
            settled.append(FileResult(name=job.name, status="skipped", message=message))
        else:
            todo.append(job)
    return todo, settled
