"""Learning rate schedules."""

from __future__ import annotations

import math

from dggn.training.config import OptimizerConfig, TrainConfig


def learning_rate(config: OptimizerConfig, step: int, progress: float, steps: int) -> float:
    """Return the rate: linear warm-up, then a cosine to zero or the paper's halvings.

    Both follow `progress`, so that a run that is ended by time completes its schedule.

    Args:
        config: the schedule.
        step: steps done since the optimizer began.
        progress: share of the run that is done; from 1 on the cosine is zero.
        steps: length of the run.
    """
    warmup = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.schedule == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    else:
        factor = 0.5 ** sum(progress * steps >= milestone for milestone in config.halve_at)
    return config.learning_rate * warmup * factor


def completed_share(config: TrainConfig, step: int, elapsed_s: float) -> float:
    """Return the completed fraction of the run, by steps or time, whichever is larger.

    Args:
        config: the run.
        step: steps done.
        elapsed_s: seconds spent training.
    """
    by_steps = step / config.steps
    if config.max_minutes is None:
        return by_steps
    return max(by_steps, elapsed_s / (60 * config.max_minutes))
