"""Training runs that take a second."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from dggn.data.bicubic import bicubic_resize
from dggn.data.pairs import Pair
from dggn.model.config import PRESETS, GeneratorConfig
from dggn.training.config import DataConfig, OptimizerConfig, TrainConfig
from dggn.training.loss_config import CriticConfig, LossConfig, PerceptualConfig

if TYPE_CHECKING:
    from torch import nn

    from dggn.training.trainer import StepReport


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tiny_config: GeneratorConfig) -> TrainConfig:
    """Twelve float32 steps of a tiny generator, for fidelity."""
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    return TrainConfig(
        preset="tiny",
        steps=12,
        precision="fp32",
        validate_every=5,
        save_every=4,
        data=DataConfig(patch_lr_px=8, batch_size=2),
        optimizer=OptimizerConfig(learning_rate=5e-3, warmup_steps=2),
    )


@pytest.fixture
def gan_config(config: TrainConfig, squeezenet_file: Path) -> TrainConfig:
    """The same with all six terms of Eq. 6 and tiny critics."""
    return TrainConfig(
        preset="tiny",
        steps=4,
        precision="fp32",
        validate_every=4,
        save_every=1,
        log_every=1,
        fusion_only_steps=1,
        data=config.data,
        loss=LossConfig(
            perceptual=0.01,
            pixel=1.0,
            gradient=1.0,
            adversarial=0.01,
            gradient_adversarial=0.01,
            branch_gradient=0.5,
        ),
        perceptual=PerceptualConfig(network="squeezenet", weights=str(squeezenet_file)),
        critic=CriticConfig(width=4, steps=2, learning_rate=1e-3),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=2, schedule="halving"),
    )


@pytest.fixture
def pairs(photo: NDArray[np.uint8]) -> list[Pair]:
    """One picture."""
    return [Pair(name="photo", lr_hwc=bicubic_resize(photo, Fraction(1, 4)), hr_hwc=photo)]


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[bool, list[StepReport]]]:
    """Runs a training in a folder on the CPU: whether it is complete, and its reports."""
    import torch

    from dggn.training import log
    from dggn.training.batches import open_batches
    from dggn.training.parallel import ProcessContext
    from dggn.training.state import TrainingState
    from dggn.training.trainer import Trainer

    # TensorBoard's files are a test of the log's own.
    monkeypatch.setattr(log, "find_spec", lambda name: None)
    cpu = ProcessContext(device=torch.device("cpu"))

    def run(
        config: TrainConfig,
        pairs: list[Pair],
        folder: Path,
        *,
        stop_after: int | None = None,
        validation: list[Pair] | None = None,
        process: ProcessContext = cpu,
    ) -> tuple[bool, list[StepReport]]:
        reports: list[StepReport] = []
        state = TrainingState.open(folder, config)
        with open_batches(config.data, config.seed, pairs, process) as batches:
            trainer = Trainer(state, batches, validation or [], folder, process)
            complete = trainer.run(
                progress=reports.append, should_stop=lambda: len(reports) == stop_after
            )
        return complete, reports

    return run


@pytest.fixture
def sequence() -> nn.Sequential:
    """VGG19's `features`, laid out as torchvision does, with few channels."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 3
    for block, count in enumerate((2, 2, 4, 4, 4), start=2):
        for _ in range(count):
            layers += [nn.Conv2d(channels, block, 3, padding=1), nn.ReLU()]
            channels = block
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


@pytest.fixture
def vgg19_file(tmp_path: Path, sequence: nn.Sequential) -> Path:
    """Its weights as a file of torchvision's kind."""
    import torch

    path = tmp_path / "vgg19.pth"
    weights = {f"features.{name}": tensor for name, tensor in sequence.state_dict().items()}
    torch.save({**weights, "classifier.0.weight": torch.zeros(1)}, path)
    return path
