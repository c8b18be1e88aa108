"""One run of `dggn-run`: what to do, what is done already, and the rest through the pipeline."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from runtime.codecs.output import SIZE_OPTIONS, target_size_hw
from runtime.errors import Cancelled
from runtime.jobs.ends import Ledger
from runtime.jobs.journal import settings_fingerprint
from runtime.jobs.plan import Job, Plan
from runtime.jobs.result import FileResult
from runtime.report.page import HtmlReport
from runtime.report.progress import Progress
from runtime.report.summary import Report
from runtime.run.options import Options, ends_of
from runtime.run.workers import Facts, OpenWorkers, Order, Workers, open_here
from runtime.system.files import (
    make_folder,
    name_problem,
    remove_temporaries,
    remove_unfinished,
)

FOREIGN = "the output exists, but was not made by dggn-run; use --overwrite to replace it"
OF_ANOTHER = (
    "the output exists, and is the result of another picture, {}; choose another OUTPUT or a "
    "--suffix, or use --overwrite to replace it"
)


class Batch:
    """Upscales everything that the options ask for.

    Args:
        options: what to do.
        progress: told how it goes.
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
            workers = stack.enter_context(self._open_workers(options, progress))
            self._workers = workers
            fingerprint = describe(report, options, workers.facts)
            make_folder(plan.folder)
            if options.page:
                self._page = HtmlReport(options.page)
            with ends.open_ledger(wait=self._wait) as journal:
                self._introduce(plan, workers.facts)
                todo = self._sort_out(plan, journal, fingerprint)
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
                    fingerprint=fingerprint,
                    previews=self._page is not None,
                )
                self._upscale(todo, order)
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
        if self._workers:
            self._workers.cancel(within_s=within_s)
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

    def _sort_out(self, plan: Plan, journal: Ledger, fingerprint: str) -> list[Job]:
        """Report what needs no work, and return the rest."""
        todo, settled = sort_out(plan, journal, fingerprint, overwrite=self._options.overwrite)
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


def describe(report: Report, options: Options, facts: Facts) -> str:
    """Say in a report what results are made with.

    Returns:
        The fingerprint of model and settings.

    Raises:
        ConfigError: the scale asked for is larger than the model reaches.
    """
    settings = options.settings
    if settings.scale is not None:  # other sizes depend on the picture
        target_size_hw((1, 1), settings, facts.scale)
    report.shard = str(options.shard) if options.shard else None
    report.model, report.runs_on = options.model, facts.description
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
    return settings_fingerprint({"model": facts.model_sha256, **decisive})


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
