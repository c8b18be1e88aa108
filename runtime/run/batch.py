"""One run of `dggn-run`: plan, skip what is done, and process the rest."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from runtime.codecs.output import SIZE_OPTIONS, target_size_hw
from runtime.errors import Cancelled
from runtime.jobs.ends import Ledger
from runtime.jobs.job import Job, Plan
from runtime.jobs.journal import Fingerprints, settings_fingerprint
from runtime.jobs.result import FileResult
from runtime.report.page import HtmlReport
from runtime.report.progress import Progress
from runtime.report.summary import Report
from runtime.run.options import Options, ends_of
from runtime.run.workers import Facts, OpenWorkers, Order, Workers, open_here
from runtime.stores.staging import Staging
from runtime.system.files import (
    make_folder,
    name_problem,
    remove_temporaries,
    remove_unfinished,
)
from runtime.video.formats import is_clip

FOREIGN = "the output exists, but was not made by dggn-run; use --overwrite to replace it"
PICTURES_ONLY = ("format", "quality")
"""Settings that do not affect videos."""

REFUSE_LESS = ("video_deinterlace", "video_hdr")
"""Settings that only allow more kinds of video, without an effect on others."""

OF_ANOTHER = (
    "the output exists, and is the result of another picture, {}; choose another OUTPUT or a "
    "--suffix, or use --overwrite to replace it"
)


class Batch:
    """A run over everything that the options select.

    Args:
        options: the user's options.
        progress: receives the progress.
        open_workers: opens what upscales; by default this machine.
    """

    def __init__(
        self, options: Options, progress: Progress, open_workers: OpenWorkers = open_here
    ) -> None:
        self.report = Report()
        self._options = options
        self._progress = progress
        self._open_workers = open_workers
        self._workers: Workers | None = None
        self._folders: frozenset[Path] = frozenset()
        self._own_targets: frozenset[Path] | None = None
        self._staging: Staging | None = None
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
        with ExitStack() as stack:
            ends = stack.enter_context(ends_of(options))
            report.plan, self._staging = ends.plan, ends.staging
            plan = ends.plan
            workers = stack.enter_context(self._open_workers(options, progress))
            self._workers = workers
            fingerprints = describe(report, options, workers.facts)
            make_folder(plan.folder)
            if options.page:
                self._page = HtmlReport(options.page)
            with ends.open_ledger(wait=self._wait) as journal:
                self._introduce(plan, workers.facts)
                todo = self._sort_out(plan, journal, fingerprints)
                folders = {job.target.parent for job in plan.jobs}
                self._folders = frozenset(one for one in folders if not name_problem(one / "a"))
                for folder in self._folders:
                    make_folder(folder)
                if options.shard or plan.is_one_file:
                    self._own_targets = frozenset(job.target for job in plan.jobs)
                remove_temporaries(self._folders, of=self._own_targets)
                order = Order(
                    source=ends.source,
                    journal=journal,
                    fingerprints=fingerprints,
                    previews=self._page is not None,
                )
                self._upscale(todo, order)
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
        if self._workers:
            self._workers.cancel(within_s=within_s)
        self._progress.stop()
        remove_unfinished()
        remove_temporaries(self._folders, of=self._own_targets)
        if self._staging:
            self._staging.remove()

    def _wait(self, seconds: float) -> None:
        """Wait for another run into the same folder; announced once."""
        if not self._has_waited:
            self._has_waited = True
            self._progress.say("waiting for another dggn-run that is writing to the same folder")
        if self._cancelled.wait(seconds):
            raise Cancelled

    def _introduce(self, plan: Plan, facts: Facts) -> None:
        why = f"; {facts.why}" if facts.why else ""
        self._progress.say(facts.description + why)
        if plan.ignored:
            self._progress.say(f"ignored in {self._options.source}: {plan.ignored}")
        if self._options.shard:
            pictures = len(plan.jobs) + len(plan.others)
            self._progress.say(
                f"shard {self._options.shard}: {len(plan.jobs)} of {pictures} pictures"
            )

    def _sort_out(self, plan: Plan, journal: Ledger, fingerprints: Fingerprints) -> list[Job]:
        """Report pictures that need no work, and return the rest."""
        todo, settled = sort_out(plan, journal, fingerprints, overwrite=self._options.overwrite)
        for result in settled:
            self._add(result)
        return todo

    def _upscale(self, todo: list[Job], order: Order) -> None:
        assert self._workers is not None
        if self._cancelled.is_set():
            raise Cancelled
        began = time.monotonic()
        self._progress.start(len(todo))
        try:
            for result in self._workers.run(todo, order):
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


def describe(report: Report, options: Options, facts: Facts) -> Fingerprints:
    """Add the model, backend and settings to a report.

    Returns:
        The fingerprints of model and settings.

    Raises:
        ConfigError: the requested scale is beyond the model.
    """
    settings = options.settings
    if settings.scale is not None:  # other sizes depend on the picture
        target_size_hw((1, 1), settings, facts.scale)
    report.shard = str(options.shard) if options.shard else None
    report.model, report.runs_on = options.model or facts.model_name, facts.description
    report.model_sha256 = facts.model_sha256
    report.precision = facts.precision
    report.settings = {
        "tile_size": facts.tile_size,
        "overlap": facts.overlap,
        **asdict(settings),
    }
    if not any(getattr(settings, name) is not None for name in SIZE_OPTIONS):
        report.settings["scale"] = float(facts.scale)
    # Allowing a second pass changes no result of one.
    decisive = {name: value for name, value in report.settings.items() if name != "second_pass"}
    decisive["model"] = facts.model_sha256
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
    plan: Plan, journal: Ledger, fingerprints: Fingerprints, *, overwrite: bool
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
    sources = {job.place for job in (*plan.jobs, *plan.others)}
    for job in plan.jobs:
        if problem := name_problem(job.target):
            message = f"{problem}: shorten the name, or choose another OUTPUT"
            settled.append(FileResult(name=job.name, status="failed", message=message))
        elif overwrite:
            todo.append(job)
        elif journal.is_foreign(job):
            settled.append(FileResult(name=job.name, status="skipped", message=FOREIGN))
        elif journal.is_done(job, fingerprints.of(job)):
            settled.append(FileResult(name=job.name, status="skipped", target=job.shown_target))
        elif (other := journal.made_from(job)) and other not in sources:
            message = OF_ANOTHER.format(other)
            settled.append(FileResult(name=job.name, status="skipped", message=message))
        else:
            todo.append(job)
    return todo, settled
