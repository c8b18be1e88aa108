"""The training loop, the same for every stage; the configuration determines the steps."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from dggn.data.pairs import Pair
from dggn.model.checkpoint import save_generator
from dggn.training.batches import Batches
from dggn.training.log import Log, Record
from dggn.training.outcome import Outcome
from dggn.training.parallel import ProcessContext
from dggn.training.schedule import completed_share
from dggn.training.state import STATE_NAME, WEIGHTS_NAME, TrainingState
from dggn.training.step import Step
from dggn.training.validation import SAMPLES_FOLDER, check_pictures, degraded_as_trained, validate
from runtime.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """Data for a progress display after a step."""

    step: int
    """Number of steps done."""

    progress: float
    """Completed fraction of the run, in [0, 1]."""

    loss: float
    """Loss of this step."""

    images_per_s: float
    """HR crops per second in this step."""

    left_s: float
    """Estimated seconds left, at this process's pace."""

    psnr_db: float | None
    """PSNR of the latest validation."""


class Progress(Protocol):
    """Receives a report after every step."""

    def __call__(self, report: StepReport, /) -> None:
        """Show the report."""


class Trainer:
    """The steps of one training run in a folder.

    The folder holds `state.safetensors` (everything, to go on), `generator.safetensors` (the
    averaged weights, to use), `log.jsonl` and `tensorboard/` (the terms of the loss, the
    critics and the validations), and `samples/` (pictures to look at). Of several processes
    the first writes it.

    Args:
        state: state of the run.
        batches: training batches.
        validation: pictures to measure on, reduced by antialiased bicubic; may be empty. A run
            on degraded crops is measured on degraded pictures.
        folder: folder of the run.
        process: device and rank of this process; by default the only one, on the CPU.
        say: receives one-line status messages.

    Raises:
        ConfigError: a validation picture is too small, or as in :class:`Step`.
        EnvironmentProblem: as in :class:`Step`.
        ModelError: as in :class:`Step`.
    """

    def __init__(
        self,
        state: TrainingState,
        batches: Batches,
        validation: list[Pair],
        folder: Path,
        process: ProcessContext | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        check_pictures(validation)
        self._state = state
        # The other processes never look at them.
        is_first = process is None or process.is_first
        self._validation = degraded_as_trained(
            validation if is_first else [], state.config.data.degradation
        )
        self._folder = folder
        self._process = process or ProcessContext(device=torch.device("cpu"))
        self._step = Step(state, batches, self._process, say)
        self._psnr_db: float | None = None
        self._begun: deque[tuple[int, Outcome]] = deque()
        self._saved_at = time.monotonic()

    def run(self, *, progress: Progress, should_stop: Callable[[], bool]) -> bool:
        """Train to the end, or until `should_stop` returns true; either way the state is saved.

        Returns:
            Whether the run is complete.

        Raises:
            ConfigError: the loss or its gradient is no longer finite with these settings, or a
                critic diverges; the last good checkpoint stays.
            ImageReadError: a picture of a prepared set is damaged.
            TargetError: the folder cannot be written.
        """
        state, config = self._state, self._state.config
        state.generator.train()
        if state.step == 0:
            # A folder that cannot be written shows at once, not after the first hundred steps.
            self._save()
        with Log(self._folder, state.step) if self._process.is_first else nullcontext() as log:
            self._start_clocks()
            while True:
                stop, save_due = self._agree(should_stop)
                if stop or self._share_done() >= 1:
                    break
                self._begun.append((state.step + 1, self._step(self._share_done())))
                state.step += 1
                save_due |= state.step % config.save_every == 0
                # Nothing is measured or saved that may hold what a bad step has done.
                complete = save_due or state.step % config.validate_every == 0
                while len(self._begun) > (0 if complete else self._process.steps_ahead):
                    self._finish_step(log, progress)
                if save_due:
                    self._save()
            while self._begun:
                self._finish_step(log, progress)
        self._save()
        return self._share_done() >= 1

    def _start_clocks(self) -> None:
        self._counted_at = self._free_at = self._running_since = time.monotonic()
        self._share_before = self._share_done()

    def _share_done(self) -> float:
        return completed_share(self._state.config, self._state.step, self._state.elapsed_s)

    def _agree(self, should_stop: Callable[[], bool]) -> tuple[bool, bool]:
        """Agree on whether to stop, and whether to save after the next step.

        Clocks and signals differ between processes: those of the first count.
        """
        stop, unsaved_s, self._state.elapsed_s = self._process.agree(
            [float(should_stop()), time.monotonic() - self._saved_at, self._state.elapsed_s]
        )
        return bool(stop), unsaved_s >= 60 * self._state.config.save_every_minutes

    def _finish_step(self, log: Log | None, progress: Progress) -> None:
        """Collect the losses of the oldest pending step; log, validate and report."""
        state, config = self._state, self._state.config
        step, outcome = self._begun.popleft()
        try:
            terms = outcome.read()
        except ConfigError as error:
            raise ConfigError(
                f"at step {step - 1} {error}, and begin again in another folder; the last good "
                f"checkpoint is {self._folder / STATE_NAME}"
            ) from error
        now = time.monotonic()
        # Validations count, so that a run with a time ends inside it; with the next step, so that
        # it is a step that ends the run, and the last one is validated.
        state.elapsed_s += now - self._counted_at
        images_per_s = config.data.batch_size / (now - self._free_at)
        self._counted_at = now
        if log is not None:
            self._record(log, step, terms, images_per_s)
            done = self._share_done()
            pace = (time.monotonic() - self._running_since) / (done - self._share_before)
            progress(
                StepReport(
                    step=step,
                    progress=min(1.0, completed_share(config, step, state.elapsed_s)),
                    loss=terms["loss"],
                    images_per_s=images_per_s,
                    left_s=max(0.0, pace * (1 - done)),
                    psnr_db=self._psnr_db,
                )
            )
        self._free_at = time.monotonic()

    def _record(self, log: Log, step: int, terms: Record, images_per_s: float) -> None:
        """Validate and log after a step, at the configured intervals."""
        state, config = self._state, self._state.config
        last = self._share_done() >= 1 and not self._begun
        record: Record = {"step": step, "elapsed_s": round(state.elapsed_s, 1), **terms}
        record["images_per_s"] = round(images_per_s, 4)
        due = step % config.validate_every == 0 or last
        if due and self._validation:
            sheet = self._folder / SAMPLES_FOLDER / f"step-{step:07}.png"
            record |= validate(state.average, self._validation, sheet, config.samples)
            self._psnr_db = record["psnr_db"]
        if due or step % config.log_every == 0:
            log.write(record)

    def _save(self) -> None:
        if self._process.is_first:
            self._state.save(self._folder / STATE_NAME)
            save_generator(self._folder / WEIGHTS_NAME, self._state.average)
        self._saved_at = time.monotonic()
