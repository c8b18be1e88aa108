"""Train the models that ship, a session at a time, on machines that are lent for minutes.

    python -m tests.campaigns.flagship psnr     DATA OUTPUT --minutes 25 [--stop-after 9]
    python -m tests.campaigns.flagship gan      DATA OUTPUT --minutes 25
    python -m tests.campaigns.flagship ablation DATA OUTPUT --steps 4000
    python -m tests.campaigns.flagship lite     DATA OUTPUT --minutes 25

The same command goes on after an interruption: from WORK where that is still there, exactly; from
OUTPUT on another machine, without the optimizers' moments (see portable.py). OUTPUT follows what is
saved, every two minutes at most, in files under 16 MiB, and gets a table of all measurements at the
end.

DATA holds `train/` and `val/` (pictures), and where they are to be used `benchmark/NAME/HR` and
`perceptual/squeezenet1_0_imagenet.npz`. What a campaign needs, and what is expected of it:
docs/gpu.md.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dggn.training.config import read_config
from dggn.training.state import STATE_NAME, WEIGHTS_NAME
from runtime.errors import ConfigError, DggnError
from runtime.system.files import write_whole
from dggn.training.portable import is_complete, restore, write_portable

RECIPES = Path(__file__).parent / "recipes"
SCALES = ("1", "0.75", "0.5")
"""Sizes at which pictures are cut: the scale jitter of crops that are cut on the device."""

WHOLE_PX = "8192"
"""Of sub-images: larger than any picture, so that none overlap."""

STOPPED = 130


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training run."""

    run: str
    """Name of its folders."""

    recipe: str
    """Stem of its recipe."""

    start: str | None = None
    """The run whose weights it starts from."""

    replaces_start: bool = False
    """Whether OUTPUT keeps this run only, once it has begun."""


CAMPAIGNS = {
    "psnr": (Stage(run="psnr", recipe="psnr"),),
    "gan": (Stage(run="gan", recipe="gan", start="psnr"),),
    "lite": (Stage(run="lite", recipe="lite"),),
    # Stage by stage, so that both arms are as far when the time is up.
    "ablation": (
        Stage(run="with-psnr", recipe="psnr"),
        Stage(run="without-psnr", recipe="ablation-psnr"),
        Stage(run="with-gan", recipe="gan", start="with-psnr", replaces_start=True),
        Stage(run="without-gan", recipe="ablation-gan", start="without-psnr", replaces_start=True),
    ),
}


class Campaign:
    """What one call does.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._data, self._output, self._work = options.data, options.output, options.work
        self._set = self._work / "set"
        self._perceptual = self._data / "perceptual" / "squeezenet1_0_imagenet.npz"
        self._ends_at = time.monotonic() + 60 * options.stop_after if options.stop_after else None

    def run(self) -> int:
        """Everything that is left to do; the exit code."""
        stages = CAMPAIGNS[self._options.campaign]
        cutting = ["--size", WHOLE_PX, "--step", WHOLE_PX]
        for scale in SCALES:
            cutting += ["--scale", scale]
        code = self._watch(_train("prepare", self._data / "train", self._set, *cutting))
        for stage in stages:
            code = code or self._train(stage, stages)
        return code or self._report(stages)

    def _train(self, stage: Stage, stages: tuple[Stage, ...]) -> int:
        for name in filter(None, (stage.run, stage.start)):
            self._restore(name)
        # Its weights may be gone where a later stage has begun on another machine.
        later = [self._output / one.run for one in stages if one.start == stage.run]
        run = self._work / stage.run
        if is_complete(run) or any(folder.exists() for folder in later):
            return 0
        options = self._options
        command = _train("run", options.recipes / f"{stage.recipe}.toml", run)
        command += ["--train", str(self._set), "--validation", str(self._data / "val")]
        command += ["--resident", "--device", options.device]
        command += [] if options.eager else ["--compile"]
        command += ["--steps", str(options.steps)] if options.steps else []
        command += ["--max-minutes", str(options.minutes)] if options.minutes else []
        if self._uses_perceptual(stage):
            command += ["--perceptual-weights", str(self._perceptual)]
        if stage.start:
            start = self._initial(stage)
            if not (start.is_file() or (start / WEIGHTS_NAME).exists() or run.exists()):
                raise ConfigError(
                    f"{stage.run} starts from {stage.start}, which is neither in {self._work} nor "
                    f"in {self._output}: train {stage.start} first, or name a checkpoint by --start"
                )
            command += ["--from", str(start)]
        return self._watch(command, run=run, stage=stage)

    def _uses_perceptual(self, stage: Stage) -> bool:
        config = read_config(str(self._options.recipes / f"{stage.recipe}.toml"))
        return bool(config.loss.perceptual)

    def _initial(self, stage: Stage) -> Path:
        start: Path | None = self._options.start
        return start or self._work / str(stage.start)

    def _restore(self, name: str) -> None:
        stage = next(one for stages in CAMPAIGNS.values() for one in stages if one.run == name)
        changes: dict[str, Any] = {
            "data": {"train": [str(self._set)], "validation": [str(self._data / "val")]}
        }
        if self._uses_perceptual(stage):
            changes["perceptual"] = {"weights": str(self._perceptual)}
        initial = str(self._initial(stage)) if stage.start else None
        if restore(self._output / name, self._work / name, changes, initial):
            print(f"{name} goes on from {self._output / name}", flush=True)

    def _watch(
        self, command: list[str], run: Path | None = None, stage: Stage | None = None
    ) -> int:
        """Run a command until it or the time ends; keep OUTPUT up to date meanwhile."""
        if self._ends_at and time.monotonic() >= self._ends_at:
            return STOPPED
        state = run / STATE_NAME if run else None
        kept_at, kept_s = _modified(state), time.monotonic()
        process = subprocess.Popen(command)
        try:
            while process.poll() is None:
                time.sleep(0.5)
                now = time.monotonic()
                if self._ends_at and now >= self._ends_at:
                    process.send_signal(signal.SIGINT)
                    process.wait()
                elif now - kept_s >= 60 * self._options.keep_every and _modified(state) != kept_at:
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

    def _report(self, stages: tuple[Stage, ...]) -> int:
        """Measure the models of this campaign, and what they are compared with."""
        folders = sorted(path.parent for path in self._data.glob("benchmark/*/HR"))
        benchmarks = [
            argument
            for folder in (self._data / "val", *folders)
            for argument in ("--benchmark", str(folder))
        ]
        features = ["--features", str(self._perceptual)] if self._perceptual.exists() else []
        names = dict.fromkeys(name for one in stages for name in (one.start, one.run) if name)
        lines: list[str] = []
        for name in ("bicubic", *names):
            weights = self._work / name / WEIGHTS_NAME
            if name != "bicubic" and not weights.exists():
                continue
            model = "bicubic" if name == "bicubic" else str(weights)
            command = [sys.executable, "-c", "from dggn.metrics.cli import app; app()", "model"]
            command += [model, *benchmarks, *features, "--markdown"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                return done.returncode
            header, rule, *rows = done.stdout.splitlines()
            lines += [] if lines else [header, rule]
            lines += [f"| {name} |{row.split('|', 2)[2]}" for row in rows]
        lines += _differences(lines[2:])
        report = f"# Campaign {self._options.campaign}\n\n" + "\n".join(lines) + "\n"
        write_whole(self._output / f"{self._options.campaign}.md", report.encode())
        print(report, flush=True)
        return 0


def _differences(rows: list[str]) -> list[str]:
    """Rows of what the gradient branch changes, where there are runs with and without it."""
    figures: dict[tuple[str, str], tuple[str, list[float]]] = {}
    for row in rows:
        name, benchmark, count, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        figures[name, benchmark] = count, [float(cell) for cell in cells]
    differences = []
    for (name, benchmark), (count, values) in figures.items():
        other = name.replace("with-", "without-", 1)
        if name.startswith("with-") and (other, benchmark) in figures:
            others = figures[other, benchmark][1]
            signed = [f"{one - two:+.4g}" for one, two in zip(values, others, strict=True)]
            differences.append(
                f"| {name} minus {other} | {benchmark} | {count} | {' | '.join(signed)} |"
            )
    return differences


def _train(*arguments: object) -> list[str]:
    command = [sys.executable, "-c", "from dggn.training.cli import app; app()"]
    return command + [str(argument) for argument in arguments]


def _modified(path: Path | None) -> float | None:
    return path.stat().st_mtime if path and path.exists() else None


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign", choices=CAMPAIGNS)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs"), help="sets and runs [runs]")
    parser.add_argument("--minutes", type=float, help="length of each stage's schedule")
    parser.add_argument("--steps", type=int, help="length of each stage, instead of the recipe's")
    parser.add_argument("--stop-after", type=float, help="minutes after which this call ends")
    parser.add_argument("--keep-every", type=float, default=2, help="minutes between writings [2]")
    parser.add_argument("--start", type=Path, help="checkpoint that gan starts from [psnr's]")
    parser.add_argument("--recipes", type=Path, default=RECIPES, help="folder of other recipes")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--eager", action="store_true", help="do not compile")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        code = Campaign(options).run()
    except DggnError as error:
        raise SystemExit(f"flagship: {error}") from error
    except KeyboardInterrupt:
        code = STOPPED
    if code == STOPPED:
        print("stopped; go on with the same command", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
