"""A short seeded run of both stages follows the loss curve stored beside this file.

A commit that changes the numbers on purpose regenerates the file and says so:

    python tests/golden/dggn/test_training.py

The file names the version of torch that made it. Other versions and processors order sums
differently, which these few steps amplify: hence the tolerance.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from numpy.typing import NDArray

from dggn.data.bicubic import bicubic_resize
from dggn.data.pairs import Pair
from dggn.model.config import PRESETS, GeneratorConfig
from dggn.training.batches import open_batches
from dggn.training.config import DataConfig, OptimizerConfig, TrainConfig
from dggn.training.log import read_log
from dggn.training.loss_config import CriticConfig, LossConfig, PerceptualConfig
from dggn.training.parallel import ProcessContext
from dggn.training.state import TrainingState
from dggn.training.trainer import Trainer

CURVE = Path(__file__).with_name("training.json")
RELATIVE_TOLERANCE = 2e-3
ABSOLUTE_TOLERANCE = 1e-5

TINY = GeneratorConfig(width=8, image_units=2, gradient_units=1, tail_width=4, se_reduction=2)


def _stages(folder: Path) -> tuple[TrainConfig, TrainConfig]:
    one = TrainConfig(
        preset="golden",
        steps=24,
        precision="fp32",
        validate_every=12,
        log_every=1,
        samples=0,
        data=DataConfig(patch_lr_px=16, batch_size=2),
        optimizer=OptimizerConfig(learning_rate=5e-3, warmup_steps=4),
    )
    two = replace(
        one,
        initial=str(folder / "psnr"),
        steps=12,
        fusion_only_steps=3,
        loss=LossConfig(
            perceptual=0.1,
            pixel=1.0,
            gradient=1.0,
            adversarial=5e-3,
            gradient_adversarial=5e-3,
            branch_gradient=0.5,
        ),
        perceptual=PerceptualConfig(
            network="squeezenet",
            weights=str(folder / "squeezenet.npz"),
            layers=("conv1", "fire3"),
        ),
        critic=CriticConfig(width=4, steps=2, learning_rate=1e-3),
        optimizer=OptimizerConfig(
            learning_rate=1e-3, warmup_steps=2, schedule="halving", halve_at=(4, 8)
        ),
    )
    return one, two


def _picture() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:96, 0:96]
    smooth = 128 + 90 * np.sin(x / 7.0) * np.cos(y / 11.0)
    edges = np.where((x // 10 + y // 14) % 2, 210, 30)
    texture = 60 + (x * y) % 97
    return np.stack([smooth, edges, texture], axis=-1).astype(np.uint8)


def _squeezenet(path: Path) -> None:
    random = np.random.default_rng(1)
    sizes = {"conv1": (4, 3, 7), "conv_final": (3, 4, 1)}
    for fire in range(2, 10):
        sizes[f"fire{fire}/conv1x1_1"] = (2, 4, 1)
        sizes[f"fire{fire}/conv1x1_2"] = (2, 2, 1)
        sizes[f"fire{fire}/conv3x3_2"] = (2, 2, 3)
    weights = {}
    for name, (outputs, inputs, kernel) in sizes.items():
        scale = (2 / (inputs * kernel**2)) ** 0.5 / (255 if name == "conv1" else 1)
        shape = (outputs, inputs, kernel, kernel)
        weights[f"{name}.weight"] = random.normal(0, scale, shape).astype(np.float32)
        weights[f"{name}.bias"] = np.zeros(outputs, np.float32)
    np.savez(path, allow_pickle=False, **weights)


def _stage(config: TrainConfig, folder: Path) -> list[dict[str, float]]:
    hr = _picture()
    pairs = [Pair(name="picture", lr_hwc=bicubic_resize(hr, Fraction(1, 4)), hr_hwc=hr)]
    process = ProcessContext(device=torch.device("cpu"))
    with open_batches(config.data, config.seed, pairs, process) as batches:
        trainer = Trainer(TrainingState.open(folder, config), batches, pairs, folder)
        assert trainer.run(progress=lambda report: None, should_stop=lambda: False)
    clocks = ("elapsed_s", "images_per_s")
    return [
        {name: value for name, value in record.items() if name not in clocks}
        for record in read_log(folder)
    ]


def curves(folder: Path) -> dict[str, Any]:
    """The logs of both stages, the second one from the first one's weights."""
    torch.set_num_threads(1)  # On tiny tensors a second thread only waits.
    PRESETS["golden"] = TINY
    try:
        one, two = _stages(folder)
        _squeezenet(folder / "squeezenet.npz")
        return {"psnr": _stage(one, folder / "psnr"), "gan": _stage(two, folder / "gan")}
    finally:
        del PRESETS["golden"]


def test_both_stages_follow_the_kept_curve(tmp_path: Path) -> None:
    kept = json.loads(CURVE.read_text(encoding="utf-8"))
    found = curves(tmp_path)
    for stage in ("psnr", "gan"):
        assert len(found[stage]) == len(kept[stage])
        for record, expected in zip(found[stage], kept[stage], strict=True):
            assert record == pytest.approx(
                expected, rel=RELATIVE_TOLERANCE, abs=ABSOLUTE_TOLERANCE
            ), f"{stage}, step {expected['step']}, kept from torch {kept['torch']}"


def test_the_kept_curve_falls() -> None:
    kept = json.loads(CURVE.read_text(encoding="utf-8"))
    losses = [record["pixel"] for record in kept["psnr"]]
    assert np.mean(losses[-6:]) < np.mean(losses[:6])
    for name in ("perceptual", "gradient", "adversarial", "gradient_adversarial"):
        assert all(record[name] != 0 for record in kept["gan"])


def _regenerate() -> None:
    with tempfile.TemporaryDirectory() as folder:
        content = {
            "torch": torch.__version__,
            "relative_tolerance": RELATIVE_TOLERANCE,
            "absolute_tolerance": ABSOLUTE_TOLERANCE,
            **curves(Path(folder)),
        }
    CURVE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _regenerate()
