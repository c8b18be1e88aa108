"""Training state, and its checkpoint on disk."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dggn.model.checkpoint import load_generator, read_tensors, write_tensors
from dggn.model.config import SCALE
from dggn.model.discriminator import Discriminator
from dggn.model.generator import Generator
from dggn.model.shipped import load
from dggn.settings import from_mapping, to_mapping
from dggn.training.config import TrainConfig
from dggn.training.muon import Muon
from runtime.errors import ConfigError, ModelError, TargetError
from runtime.model.info import shipped_models

TRAINING_FORMAT = "training-2"

STATE_NAME = "state.safetensors"
"""File name of the state in a run's folder."""

WEIGHTS_NAME = "generator.safetensors"
"""File name of the averaged weights in a run's folder."""


@dataclass(kw_only=True)
class Critic:
    """A critic and its optimizer."""

    network: Discriminator
    """The weights."""

    optimizer: torch.optim.Adam
    """Adam with its moments."""


@dataclass(kw_only=True)
class TrainingState:
    """Weights, their moving average, all optimizer moments, and the progress of the run."""

    config: TrainConfig
    """Resolved configuration of the run."""

    generator: Generator
    """Weights being optimized."""

    average: Generator
    """Exponential moving average of the weights, which is validated and kept."""

    optimizer: torch.optim.Adam
    """Adam with its moments; of all weights, or of those that Muon leaves."""

    kernel_optimizer: Muon | None
    """Muon with its momentum, if it is used."""

    critics: dict[str, Critic]
    """Critics by input, `image` and `gradient`, if the loss uses them."""

    step: int = 0
    """Number of steps done."""

    elapsed_s: float = 0.0
    """Seconds spent training, over all resumptions."""

    warm_up_from: int = 0
    """Step at which the optimizers started without moments, and their rates warm up."""

    @classmethod
    def fresh(cls, config: TrainConfig, device: torch.device | None = None) -> TrainingState:
        """Create the state before the first step, with the weights that `config.initial` names.

        Args:
            config: the run's resolved configuration.
            device: training device; None for the CPU.

        Raises:
            ModelError: the initial weights are missing or have another structure.
        """
        state = cls._new(config, device)
        if config.initial is not None:
            weights = _initial_weights(Path(config.initial), state.generator)
            state.generator.load_state_dict(weights)
            state.average.load_state_dict(weights)
        return state

    @classmethod
    def _new(cls, config: TrainConfig, device: torch.device | None) -> TrainingState:
        torch.manual_seed(config.seed)
        generator = _placed(Generator(config.generator), device)
        muon = Muon(generator) if config.optimizer.muon_learning_rate else None
        kernels = (
            {id(kernel) for group in muon.param_groups for kernel in group["params"]}
            if muon
            else set()
        )
        optimizer = _adam(
            [one for one in generator.parameters() if id(one) not in kernels],
            (config.optimizer.beta1, config.optimizer.beta2),
            device,
        )
        average = copy.deepcopy(generator).eval().requires_grad_(False)
        weights = {"image": config.loss.adversarial, "gradient": config.loss.gradient_adversarial}
        return cls(
            config=config,
            generator=generator,
            average=average,
            optimizer=optimizer,
            kernel_optimizer=muon,
            critics={name: _critic(config, device) for name, weight in weights.items() if weight},
        )

    @classmethod
    def open(
        cls, folder: Path, config: TrainConfig, device: torch.device | None = None
    ) -> TrainingState:
        """Open the state of the run in `folder`: resumed if it exists, otherwise fresh.

        Args:
            folder: folder of the run, created if missing.
            config: the run's resolved configuration.
            device: training device; None for the CPU.

        Raises:
            ModelError: as in :meth:`resume` and :meth:`fresh`.
            TargetError: the folder cannot be made.
        """
        saved = folder / STATE_NAME
        state = cls.resume(saved, config, device) if saved.exists() else cls.fresh(config, device)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TargetError(f"{folder} cannot be made: {error.strerror or error}") from error
        return state

    def save(self, path: Path) -> None:
        """Write the state; an older file at `path` is replaced only by a complete one.

        Raises:
            TargetError: the file cannot be written.
        """
        tensors: dict[str, Tensor] = {}
        for group, part in self._parts().items():
            if isinstance(part, nn.Module):
                values = dict(part.state_dict())
            else:
                values = {
                    f"{index}.{name}": tensor
                    for index, moments in part.state_dict()["state"].items()
                    for name, tensor in moments.items()
                }
            tensors |= {f"{group}.{name}": tensor for name, tensor in values.items()}
        header = {
            "config": to_mapping(self.config),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "warm_up_from": self.warm_up_from,
        }
        write_tensors(path, tensors, format_name=TRAINING_FORMAT, header=header)

    @classmethod
    def resume(
        cls, path: Path, config: TrainConfig, device: torch.device | None = None
    ) -> TrainingState:
        """Read the state of an earlier run of the same configuration.

        Args:
            path: a file written by :meth:`save`.
            config: the run's resolved configuration.
            device: training device; None for the CPU.

        Raises:
            ModelError: the file is no training checkpoint, or belongs to another configuration.
        """
        tensors, header = read_tensors(path, format_name=TRAINING_FORMAT)
        try:
            # What an earlier version did not know yet has its default.
            stored = from_mapping(TrainConfig, header["config"], where=f"{path}: its settings")
            changed = _changed(to_mapping(stored), to_mapping(config))
            if changed:
                raise ModelError(
                    f"{path} belongs to a run with other settings ({', '.join(changed)}): "
                    "name another run folder, or restore the settings"
                )
            state = cls._new(config, device)
            state._load(tensors)
            state.step, state.elapsed_s = int(header["step"]), float(header["elapsed_s"])
            state.warm_up_from = int(header.get("warm_up_from", 0))
        except (
            ConfigError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            RuntimeError,
        ) as error:
            raise ModelError(f"{path} is damaged ({error}): name another run folder") from error
        return state

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return every part of a checkpoint by its tensor name prefix."""
        parts: dict[str, nn.Module | torch.optim.Optimizer] = {
            "generator": self.generator,
            "average": self.average,
            "optimizer": self.optimizer,
        }
        if self.kernel_optimizer is not None:
            parts["kernel_optimizer"] = self.kernel_optimizer
        for name, critic in self.critics.items():
            parts[f"{name}_critic"] = critic.network
            parts[f"{name}_critic_optimizer"] = critic.optimizer
        return parts

    def _load(self, tensors: Mapping[str, Tensor]) -> None:
        parts = self._parts()
        groups: dict[str, dict[str, Tensor]] = {group: {} for group in parts}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            groups[group][rest] = tensor
        for group, part in parts.items():
            if isinstance(part, nn.Module):
                part.load_state_dict(groups[group])
            else:
                _load_moments(part, groups[group])


def _placed(network: Generator | Discriminator, device: torch.device | None) -> Any:
    # The layout of the crops, and the faster one.
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _critic(config: TrainConfig, device: torch.device | None) -> Critic:
    network = Discriminator(config.data.patch_lr_px * SCALE, config.critic.width)
    network = _placed(network, device)
    betas = (config.critic.beta1, config.critic.beta2)
    return Critic(network=network, optimizer=_adam(network.parameters(), betas, device))


def _adam(
    parameters: Iterable[nn.Parameter],
    betas: tuple[float, float],
    device: torch.device | None,
) -> torch.optim.Adam:
    # Fused, it is one pass over the weights instead of a dozen. The meta device has no kernel.
    fused = device is None or device.type != "meta"
    return torch.optim.Adam(parameters, betas=betas, fused=fused)


def _initial_weights(path: Path, generator: Generator) -> dict[str, Tensor]:
    if path.suffix == ".onnx" or str(path) in shipped_models():
        loaded = load(str(path))
    else:
        loaded = load_generator(path / WEIGHTS_NAME if path.is_dir() else path)
    # Keeping colours has no weights: a photo model may go on from one for clean reductions.
    wanted = replace(generator.config, keeps_colours=loaded.config.keeps_colours)
    if loaded.config != wanted:
        differing = _changed(to_mapping(loaded.config), to_mapping(wanted))
        raise ModelError(
            f"{path} has another structure than this run ({', '.join(differing)}): "
            "start from weights of the same preset and branches"
        )
    return dict(loaded.state_dict())


def _load_moments(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, moment = name.partition(".")
        if tensor.ndim:
            # In the parameter's memory layout, as it was: the sums of a resumed run
            # are then those of an uninterrupted one, bit for bit.
            tensor = torch.empty_like(parameters[int(index)]).copy_(tensor)
        moments.setdefault(int(index), {})[moment] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def _changed(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    changed = []
    for key in sorted(stored.keys() | wanted.keys()):
        before, now = stored.get(key), wanted.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            changed += [f"{key}.{name}" for name in _changed(before, now)]
        elif before != now:
            changed.append(f"{key} was {before}, is {now}")
    return changed
