"""Everything a run needs to go on where it stopped, and its checkpoint on disk."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dggn.model.checkpoint import read_tensors, write_tensors
from dggn.model.generator import Generator
from dggn.settings import to_mapping
from dggn.training.config import TrainConfig
from runtime.errors import ModelError

TRAINING_FORMAT = "training-1"


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
        generator = Generator(config.generator).to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(
            generator.parameters(), betas=(config.optimizer.beta1, config.optimizer.beta2)
        )
        average = copy.deepcopy(generator).eval().requires_grad_(False)
        return cls(config=config, generator=generator, average=average, optimizer=optimizer)

    def save(self, path: Path) -> None:
        """Write the state; an older file at `path` is replaced only by a complete one."""
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
        stored, wanted = header["config"], to_mapping(config)
        if stored != wanted:
            changed = sorted(
                key for key in stored.keys() | wanted.keys() if stored.get(key) != wanted.get(key)
            )
            raise ModelError(
                f"{path} belongs to a run with other settings ({', '.join(changed)}): "
                "name another run folder, or restore the settings"
            )
        state = cls.fresh(config)
        groups: dict[str, dict[str, Tensor]] = {"generator": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            groups[group][rest] = tensor
        state.generator.load_state_dict(groups["generator"])
        state.average.load_state_dict(groups["average"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["optimizer"].items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = tensor
        optimizer = state.optimizer.state_dict()
        state.optimizer.load_state_dict({**optimizer, "state": moments})
        state.step, state.elapsed_s = header["step"], header["elapsed_s"]
        return state
