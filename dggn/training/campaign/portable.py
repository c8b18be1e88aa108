"""Stores a training run as a few small files that can be copied between machines.

    OUTPUT/RUN/weights-STEP-K-of-N   the averaged generator as float16 safetensors, in parts
    OUTPUT/RUN/progress.json         the settings, the run's progress, the validations so far

`cat weights-*` joins the parts into a checkpoint that every command reads. The optimizers' moments
and the critics, most of a training state, are not included: a run that resumes from these files
keeps its place in the schedule and warms up again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from dggn.model.checkpoint import FORMAT_KEY, GENERATOR_FORMAT, read_tensors
from dggn.settings import from_mapping, to_mapping
from dggn.training.config import TrainConfig
from dggn.training.log import LOG_NAME, read_log
from dggn.training.schedule import completed_share
from dggn.training.state import STATE_NAME, TRAINING_FORMAT, WEIGHTS_NAME, TrainingState
from runtime.errors import ModelError
from runtime.system.files import write_whole

PART_BYTES = 15 * 2**20
"""Maximum size of a part, below the common file limit of 16 MiB."""

PROGRESS_NAME = "progress.json"
AVERAGE = "average."
"""Prefix of the averaged generator's tensors in a training state."""


def is_complete(run: Path) -> bool:
    """Return whether a folder holds a finished run."""
    if not (run / STATE_NAME).exists():
        return False
    _, header = read_tensors(run / STATE_NAME, format_name=TRAINING_FORMAT)
    config = from_mapping(TrainConfig, header["config"], where=str(run))
    return completed_share(config, header["step"], header["elapsed_s"]) >= 1


def write_portable(run: Path, target: Path) -> None:
    """Write a run's newest state; if killed, leave either the new files or the previous ones.

    Args:
        run: folder of a run with a saved state.
        target: folder to write to; created if it does not exist.

    Raises:
        ModelError: the state is damaged, or its weights overflow float16.
    """
    tensors, header = read_tensors(run / STATE_NAME, format_name=TRAINING_FORMAT)
    config = from_mapping(TrainConfig, header["config"], where=str(run))
    weights = {
        name.removeprefix(AVERAGE): tensor.half().contiguous()
        for name, tensor in tensors.items()
        if name.startswith(AVERAGE)
    }
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise ModelError(f"{run}: its weights overflow float16")
    description = json.dumps({"generator": to_mapping(config.generator)}, sort_keys=True)
    content = save(weights, {FORMAT_KEY: GENERATOR_FORMAT, "header": description})
    parts = [content[at : at + PART_BYTES] for at in range(0, len(content), PART_BYTES)]
    target.mkdir(parents=True, exist_ok=True)
    digits = len(str(len(parts)))  # so that the shell's order is the parts' order
    names = [
        f"weights-{header['step']:07}-{number:0{digits}}-of-{len(parts)}"
        for number in range(1, len(parts) + 1)
    ]
    for name, part in zip(names, parts, strict=True):
        write_whole(target / name, part)
    log = read_log(run) if (run / LOG_NAME).exists() else []
    progress = {
        **header,
        "weights": names,
        "sha256": hashlib.sha256(content).hexdigest(),
        "validations": [record for record in log if "psnr_db" in record],
    }
    write_whole(target / PROGRESS_NAME, json.dumps(progress, indent=1).encode())
    for old in target.glob("weights-*"):
        if old.name not in names:
            old.unlink()


def restore(
    source: Path, run: Path, changes: Mapping[str, Mapping[str, Any]], initial: str | None
) -> bool:
    """Set up a run's folder from portable files, for `dggn-train run` to resume.

    Args:
        source: folder that :func:`write_portable` filled; may be missing.
        run: the run's folder; left alone if it holds a run.
        changes: settings that differ on this machine, by their table.
        initial: the checkpoint that the run started from; only its name is used.

    Returns:
        Whether the folder was set up.

    Raises:
        ModelError: the parts in `source` do not belong together.
    """
    if (run / STATE_NAME).exists() or not (source / PROGRESS_NAME).exists():
        return False
    progress = json.loads((source / PROGRESS_NAME).read_text(encoding="utf-8"))
    content = b"".join((source / name).read_bytes() for name in progress["weights"])
    if hashlib.sha256(content).hexdigest() != progress["sha256"]:
        raise ModelError(f"{source}: its parts do not match; copy all of them again")
    weights = run / WEIGHTS_NAME
    run.mkdir(parents=True, exist_ok=True)
    write_whole(weights, content)
    settings = {**progress["config"], "initial": str(weights)}
    for table, values in changes.items():
        settings[table] = {**settings[table], **values}
    config = from_mapping(TrainConfig, settings, where=str(source))
    state = TrainingState.fresh(config)
    state.config = replace(config, initial=initial)
    state.step, state.elapsed_s = int(progress["step"]), float(progress["elapsed_s"])
    state.warm_up_from = state.step
    (run / LOG_NAME).write_text(
        "".join(json.dumps(record) + "\n" for record in progress["validations"]), encoding="utf-8"
    )
    state.save(run / STATE_NAME)
    return True
