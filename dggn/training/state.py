"""Everything a run needs to go on where it stopped, and its checkpoint on disk."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dggn.model.checkpoint import read_tensors, write_tensors
from dggn.model.generator import Generator
from dggn.settings import to_mapping
from dggn.training.config import TrainConfig
from runtime.errors import ModelError, TargetError

TRAINING_FORMAT = "training-1"

STATE_NAME = "state.safetensors"
"""The state's file in the folder of a run."""


@dataclass(kw_only=True)
class TrainingState:
    """Weights, their moving average, Adam's moments, and how far the run has come."""

    config: TrainConfig
    """The run's resolved configuration."""

    generator: Generator
    """The weights that are optimized."""

    average: Generator
    """Their exponential moving average, which is what is validated and kept."""

    optimizer: torch.optim.Adam
    """Adam with its moments."""

    step: int = 0
    """Steps done."""

    elapsed_s: float = 0.0
    """Seconds spent training, over all resumptions."""

    @classmethod
    def fresh(cls, config: TrainConfig) -> TrainingState:
        """The state before the first step."""
        torch.manual_seed(config.seed)
        generator = Generator(config.generator)
        # The layout of the crops, and the faster one on CPUs.
        generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.Adam(
            generator.parameters(), betas=(config.optimizer.beta1, config.optimizer.beta2)
        )
        average = copy.deepcopy(generator).eval().requires_grad_(False)
        return cls(config=config, generator=generator, average=average, optimizer=optimizer)

    @classmethod
    def open(cls, folder: Path, config: TrainConfig) -> TrainingState:
        """The state of the run in `folder`: resumed where it has begun, fresh otherwise.

        Args:
            folder: of the run; made when it is missing.
            config: the run's resolved configuration.

        Raises:
            ModelError: as in :meth:`resume`.
            TargetError: the folder cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TargetError(f"{folder} cannot be made: {error.strerror or error}") from error
        saved = folder / STATE_NAME
        return cls.resume(saved, config) if saved.exists() else cls.fresh(config)

    def save(self, path: Path) -> None:
        """Write the state; an older file at `path` is replaced only by a complete one.

        Raises:
            TargetError: the file cannot be written.
        """
        tensors: dict[str, Tensor] = {}
        for name, tensor in self.generator.state_dict().items():
            tensors[f"generator.{name}"] = tensor
        for name, tensor in self.average.state_dict().items():
            tensors[f"average.{name}"] = tensor
        for index, moments in self.optimizer.state_dict()["state"].items():
            for name, tensor in moments.items():
                tensors[f"optimizer.{index}.{name}"] = tensor
        header = {
            "config": to_mapping(self.config),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        write_tensors(path, tensors, format_name=TRAINING_FORMAT, header=header)

    @classmethod
    def resume(cls, path: Path, config: TrainConfig) -> TrainingState:
        """Read the state of an earlier run of the same configuration.

        Raises:
            ModelError: the file is no training checkpoint, or belongs to another configuration.
        """
        tensors, header = read_tensors(path, format_name=TRAINING_FORMAT)
        try:
            changed = _changed(header["config"], to_mapping(config))
            if changed:
                raise ModelError(
                    f"{path} belongs to a run with other settings ({', '.join(changed)}): "
                    "name another run folder, or restore the settings"
                )
            state = cls.fresh(config)
            state._load(tensors)
            state.step, state.elapsed_s = int(header["step"]), float(header["elapsed_s"])
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ModelError(f"{path} is damaged ({error}): name another run folder") from error
        return state

    def _load(self, tensors: Mapping[str, Tensor]) -> None:
        groups: dict[str, dict[str, Tensor]] = {"generator": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            groups[group][rest] = tensor
        self.generator.load_state_dict(groups["generator"])
        self.average.load_state_dict(groups["average"])
        parameters = list(self.generator.parameters())
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["optimizer"].items():
            index, _, moment = name.partition(".")
            if tensor.ndim:
                # In the parameter's memory layout, as Adam had it: the sums of a resumed run
                # are then those of an uninterrupted one, bit for bit.
                tensor = torch.empty_like(parameters[int(index)]).copy_(tensor)
            moments.setdefault(int(index), {})[moment] = tensor
        optimizer = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**optimizer, "state": moments})


def _changed(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    changed = []
    for key in sorted(stored.keys() | wanted.keys()):
        before, now = stored.get(key), wanted.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            changed += [f"{key}.{name}" for name in _changed(before, now)]
        elif before != now:
            changed.append(f"{key} was {before}, is {now}")
    return changed
