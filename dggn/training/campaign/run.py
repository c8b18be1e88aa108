"""Runs training campaigns: the shipped models, session by session on borrowed machines.

`dggn-train campaign` runs one. Repeat the same command to resume: from WORK where that still
exists, exactly; from OUTPUT on another machine, without the optimizers' moments (see portable.py).
OUTPUT is updated at most every two minutes, in files under 16 MiB, and gets a table of all
measurements at the end. docs/gpu.md says what each campaign needs and what to expect of it.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dggn.data.taught import MANIFEST_NAME
from dggn.training.campaign.portable import is_complete, restore, write_portable
from dggn.training.campaign.report import EVALUATE, measure, measure_on_realistic
from dggn.training.campaign.stages import CAMPAIGNS, CampaignName, Stage
from dggn.training.config import read_config
from dggn.training.state import STATE_NAME, WEIGHTS_NAME
from runtime.errors import ConfigError
from runtime.system.files import write_whole

RECIPES_FOLDER = Path(__file__).parents[1] / "recipes" / "campaign"

SCALES = ("1", "0.75", "0.5")
"""Scales at which pictures are prepared, in place of scale jitter for crops cut on the device."""

WHOLE_PX = "8192"
"""Side of a sub-image, larger than any picture, so that none overlap."""

STOPPED = 130
"""Exit code of a call that was interrupted or ran out of time."""


@dataclass(frozen=True, kw_only=True)
class CampaignOptions:
    """Settings of one call."""

    name: CampaignName

    data: Path
    """Folder with `train/` or `taught/`, `val/` and, if needed, `benchmark/`, `perceptual/` and
    `metrics/`.
    """

    output: Path
    """Folder of the results, with everything needed to resume on another machine."""

    work: Path = Path("runs")
    """Folder of prepared pictures, states, logs and samples."""

    minutes: float | None = None
    """Duration of each stage's schedule, in minutes."""

    steps: int | None = None
    """Steps of each stage, overriding the recipe's."""

    stop_after_minutes: float | None = None
    """Minutes after which this call ends."""

    keep_every_minutes: float = 2
    """Minutes between updates of OUTPUT."""

    start: Path | None = None
    """Model that the run starts from, as `dggn-train run --from` takes it; by default random
    weights, or for `gan` and `photo-gan` those of the campaign before. Not for `ablation`, which
    compares two structures.
    """

    recipes: Path = RECIPES_FOLDER

    device: str = "auto"

    compile: bool = True


class Campaign:
    """One call of a campaign.

    Args:
        options: its settings.
        say: receives status messages and, at the end, the report.
    """

    def __init__(self, options: CampaignOptions, say: Callable[[str], None]) -> None:
        self._options, self._say = options, say
        self._data, self._output, self._work = options.data, options.output, options.work
        self._set, self._realistic = self._work / "set", self._work / "realistic"
        self._perceptual = self._data / "perceptual" / "squeezenet1_0_imagenet.npz"
        limit = options.stop_after_minutes
        self._ends_at = None if limit is None else time.monotonic() + 60 * limit

    def run(self) -> int:
        """Run everything that is left to do.

        Returns:
            The exit code: 0, :data:`STOPPED`, or that of the command that failed.

        Raises:
            ConfigError: the run to start from does not exist, or there is no taught set.
            ModelError: the files in OUTPUT are damaged.
        """
        stages = CAMPAIGNS[self._options.name]
        if self._options.start and len(stages) > 1:
            raise ConfigError(
                f"{self._options.name} trains two structures, and --start names one model: leave "
                "it out"
            )
        self._output.mkdir(parents=True, exist_ok=True)
        code = self._make_realistic() if stages[0].taught else self._prepare()
        for stage in stages:
            code = code or self._train(stage, stages)
        return code or self._report(stages)

    def _prepare(self) -> int:
        cutting = ["--size", WHOLE_PX, "--step", WHOLE_PX]
        for scale in SCALES:
            cutting += ["--scale", scale]
        return self._watch(_train("prepare", self._data / "train", self._set, *cutting))

    def _make_realistic(self) -> int:
        """Degrade the validation pictures, once, like those that the network learns from."""
        if self._realistic.exists():
            return 0
        unfinished = self._realistic.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        pictures = [self._data / "val", "--model", "bicubic", "--output", unfinished]
        code = self._watch(_evaluate("realistic", *pictures))
        if not code:
            unfinished.rename(self._realistic)
        return code

    def _pictures(self, stage: Stage) -> tuple[list[str], str]:
        """Return the folders that a stage trains on, and the one it is validated on."""
        if not stage.taught:
            return [str(self._set)], str(self._data / "val")
        sets = sorted(str(path.parent) for path in self._data.glob(f"taught/*/{MANIFEST_NAME}"))
        if not sets:
            raise ConfigError(
                f"{self._data / 'taught'} contains no taught set: make some in folders there with "
                "`dggn-train teach`"
            )
        return sets, str(self._realistic)

    def _train(self, stage: Stage, stages: tuple[Stage, ...]) -> int:
        for name in filter(None, (stage.run, stage.start)):
            self._restore(name)
        # A later stage that has begun on another machine has replaced this one's weights.
        later = [self._output / one.run for one in stages if one.start == stage.run]
        run = self._work / stage.run
        if is_complete(run) or any(folder.exists() for folder in later):
            return 0
        options = self._options
        command = _train("run", options.recipes / f"{stage.recipe}.toml", run)
        sets, validation = self._pictures(stage)
        for folder in sets:
            command += ["--train", folder]
        command += ["--validation", validation]
        command += ["--resident", "--device", options.device]
        command += ["--compile"] if options.compile else []
        command += ["--steps", str(options.steps)] if options.steps else []
        command += ["--max-minutes", str(options.minutes)] if options.minutes else []
        if self._uses_perceptual(stage):
            command += ["--perceptual-weights", str(self._perceptual)]
        start = self._initial(stage)
        if start is not None:
            is_named = options.start is not None
            if not (is_named or (start / WEIGHTS_NAME).exists() or run.exists()):
                raise ConfigError(
                    f"{stage.run} starts from {stage.start}, which is neither in {self._work} nor "
                    f"in {self._output}: train {stage.start} first, or name a checkpoint by --start"
                )
            command += ["--from", str(start)]
        return self._watch(command, run=run, stage=stage)

    def _uses_perceptual(self, stage: Stage) -> bool:
        config = read_config(str(self._options.recipes / f"{stage.recipe}.toml"))
        return bool(config.loss.perceptual)

    def _report(self, stages: tuple[Stage, ...]) -> int:
        """Measure the campaign's models and their baselines, and write the table."""
        names = dict.fromkeys(name for one in stages for name in (one.start, one.run) if name)
        weights = {name: self._work / name / WEIGHTS_NAME for name in names}
        models = {name: str(path) for name, path in weights.items() if path.exists()}
        if stages[0].taught:
            code, lines = measure_on_realistic(models, self._data, self._perceptual)
        else:
            code, lines = measure({"bicubic": "bicubic", **models}, self._data, self._perceptual)
        if code:
            return code
        report = f"# Campaign {self._options.name}\n\n" + "\n".join(lines) + "\n"
        write_whole(self._output / f"{self._options.name}.md", report.encode())
        self._say(report)
        return 0

    def _initial(self, stage: Stage) -> Path | None:
        """Return what a run starts from; None for random weights."""
        if self._options.start is not None:
            return self._options.start
        return self._work / stage.start if stage.start else None

    def _restore(self, name: str) -> None:
        stage = next(one for stages in CAMPAIGNS.values() for one in stages if one.run == name)
        sets, validation = self._pictures(stage)
        changes: dict[str, Any] = {"data": {"train": sets, "validation": [validation]}}
        if self._uses_perceptual(stage):
            changes["perceptual"] = {"weights": str(self._perceptual)}
        is_own = stage in CAMPAIGNS[self._options.name]
        initial = self._initial(stage) if is_own else None
        named = None if initial is None else str(initial)
        if restore(self._output / name, self._work / name, changes, named):
            self._say(f"resuming {name} from {self._output / name}")

    def _watch(
        self, command: list[str], run: Path | None = None, stage: Stage | None = None
    ) -> int:
        """Run a command until it ends or time runs out, keeping OUTPUT up to date."""
        if self._ends_at and time.monotonic() >= self._ends_at:
            return STOPPED
        state = run / STATE_NAME if run else None
        kept_at, kept_s = _modified(state), time.monotonic()
        keep_every_s = 60 * self._options.keep_every_minutes
        process = subprocess.Popen(command)
        try:
            while process.poll() is None:
                time.sleep(0.5)
                now = time.monotonic()
                if self._ends_at and now >= self._ends_at:
                    process.send_signal(signal.SIGINT)
                    process.wait()
                elif now - kept_s >= keep_every_s and _modified(state) != kept_at:
                    kept_at, kept_s = _modified(state), now
                    self._keep(stage)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
        self._keep(stage)
        return STOPPED if process.returncode < 0 else process.returncode

    def _keep(self, stage: Stage | None) -> None:
        if stage is None or not (self._work / stage.run / STATE_NAME).exists():
            return
        write_portable(self._work / stage.run, self._output / stage.run)
        if stage.replaces_start and stage.start:
            shutil.rmtree(self._output / stage.start, ignore_errors=True)


def _train(*arguments: object) -> list[str]:
    command = [sys.executable, "-c", "from dggn.training.cli import app; app()"]
    return command + [str(argument) for argument in arguments]


def _evaluate(*arguments: object) -> list[str]:
    return [*EVALUATE, *(str(argument) for argument in arguments)]


def _modified(path: Path | None) -> float | None:
    return path.stat().st_mtime if path and path.exists() else None
