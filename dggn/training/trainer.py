"""The training loop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dggn.data.pairs import CropSampler, Pair
from dggn.metrics.fidelity import BORDER_PX, peak_signal_noise_ratio
from dggn.model.checkpoint import save_generator
from dggn.model.generator import Generator
from dggn.model.gradient import GradientMagnitude
from dggn.model.picture import super_resolve
from dggn.training.config import OptimizerConfig
from dggn.training.loss import fidelity_loss
from dggn.training.state import STATE_NAME, TrainingState
from runtime.errors import ConfigError, TargetError

WEIGHTS_NAME = "generator.safetensors"
LOG_NAME = "log.jsonl"


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What a progress display needs to know after a step."""

    step: int
    """Steps done."""

    progress: float
    """Share of the run that is done, in [0, 1]."""

    loss: float
    """Of this step."""

    images_per_s: float
    """HR crops a second in this step."""

    psnr_db: float | None
    """Of the newest validation."""


class Progress(Protocol):
    """Is told of every step."""

    def __call__(self, report: StepReport, /) -> None:
        """Show it."""


def learning_rate(config: OptimizerConfig, step: int, progress: float) -> float:
    """Linear warm-up, then a cosine from `learning_rate` to zero over the run.

    Args:
        config: the schedule.
        step: steps done.
        progress: share of the run that is done; from 1 on the rate is zero.
    """
    warmup = min(1.0, (step + 1) / max(1, config.warmup_steps))
    return config.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def mean_psnr_db(generator: Generator, pairs: list[Pair]) -> float:
    """Mean PSNR on Y, border 4, of whole pictures."""
    values = [
        peak_signal_noise_ratio(super_resolve(generator, pair.lr_hwc), pair.hr_hwc)
        for pair in pairs
    ]
    return float(np.mean(values))


class Trainer:
    """Runs the steps of one training run in a folder.

    The folder holds `state.safetensors` (everything, to go on), `generator.safetensors` (the
    averaged weights, to use) and `log.jsonl` (a line a validation; a run that was killed
    between checkpoints repeats the lines of the steps it repeats).

    Args:
        state: where the run stands.
        train: pictures to learn from.
        validation: pictures to measure on; may be empty.
        folder: of the run.

    Raises:
        ConfigError: no training picture holds a crop, or a validation picture is too small.
    """

    def __init__(
        self, state: TrainingState, train: list[Pair], validation: list[Pair], folder: Path
    ) -> None:
        config = state.config
        self._state = state
        self._validation = validation
        self._folder = folder
        self._sampler = CropSampler(
            train,
            batch_size=config.data.batch_size,
            patch_lr_px=config.data.patch_lr_px,
            seed=config.seed,
        )
        for pair in validation:
            if min(pair.hr_hwc.shape[:2]) <= 2 * BORDER_PX:
                raise ConfigError(
                    f"validation picture {pair.name} has nothing inside the {BORDER_PX} px border "
                    "that PSNR leaves out: take it out or add a larger one"
                )
        self._gradient = GradientMagnitude()
        self._psnr_db: float | None = None

    def run(self, *, progress: Progress, should_stop: Callable[[], bool]) -> bool:
        """Train to the end, or until `should_stop` says so; the state is saved either way.

        Returns:
            Whether the run is complete.

        Raises:
            ConfigError: the loss or its gradient is no longer finite with these settings; the
                last good checkpoint stays.
            TargetError: the folder cannot be written.
        """
        state = self._state
        state.generator.train()
        if state.step == 0:
            # A folder that cannot be written shows at once, not after the first hundred steps.
            self._save()
        while self._progress() < 1 and not should_stop():
            started = time.monotonic()
            loss, terms = self._step()
            duration_s = time.monotonic() - started
            state.elapsed_s += duration_s
            done = self._progress() >= 1
            if state.step % state.config.validate_every == 0 or done:
                self._validate(loss, terms)
            if state.step % state.config.save_every == 0:
                self._save()
            progress(
                StepReport(
                    step=state.step,
                    progress=min(1.0, self._progress()),
                    loss=loss,
                    images_per_s=state.config.data.batch_size / duration_s,
                    psnr_db=self._psnr_db,
                )
            )
        self._save()
        return self._progress() >= 1

    def _progress(self) -> float:
        state, config = self._state, self._state.config
        by_steps = state.step / config.steps
        if config.max_minutes is None:
            return by_steps
        return max(by_steps, state.elapsed_s / (60 * config.max_minutes))

    def _step(self) -> tuple[float, dict[str, float]]:
        state, config = self._state, self._state.config
        lr, hr = (_to_batch(crops) for crops in self._sampler.batch(state.step))
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(config.optimizer, state.step, self._progress())
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
            image, branch_gradient = state.generator.forward_with_gradient(lr)
        terms = fidelity_loss(image, branch_gradient, hr, self._gradient, config.loss)
        loss = torch.stack(list(terms.values())).sum()
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(
            state.generator.parameters(), config.optimizer.clip_norm
        )
        # Before the weights change: what is saved later must never hold a NaN.
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise ConfigError(
                f"at step {state.step} the loss is {loss.item()} and its gradient's norm "
                f"{norm.item()}: lower learning_rate and begin again in another folder; the last "
                f"good checkpoint is {self._folder / STATE_NAME}"
            )
        state.optimizer.step()
        self._update_average()
        state.step += 1
        return loss.item(), {name: term.item() for name, term in terms.items()}

    @torch.no_grad()
    def _update_average(self) -> None:
        state = self._state
        # A short memory at first, so that the average forgets the random start.
        decay = min(state.config.optimizer.ema_decay, (1 + state.step) / (10 + state.step))
        torch._foreach_lerp_(
            list(state.average.parameters()), list(state.generator.parameters()), 1 - decay
        )

    def _validate(self, loss: float, terms: dict[str, float]) -> None:
        state = self._state
        record: dict[str, float] = {
            "step": state.step,
            "elapsed_s": round(state.elapsed_s, 1),
            "loss": loss,
            **terms,
        }
        if self._validation:
            self._psnr_db = mean_psnr_db(state.average, self._validation)
            record["psnr_db"] = round(self._psnr_db, 4)
        path = self._folder / LOG_NAME
        try:
            with path.open("a", encoding="utf-8") as log:
                log.write(json.dumps(record) + "\n")
        except OSError as error:
            raise TargetError(f"{path} cannot be written: {error.strerror or error}") from error

    def _save(self) -> None:
        self._state.save(self._folder / STATE_NAME)
        save_generator(self._folder / WEIGHTS_NAME, self._state.average)


def _to_batch(crops_nhwc: NDArray[np.uint8]) -> Tensor:
    # Permuting keeps the layout that the crops already have: it is channels_last.
    return torch.from_numpy(crops_nhwc).permute(0, 3, 1, 2).float() / 255
