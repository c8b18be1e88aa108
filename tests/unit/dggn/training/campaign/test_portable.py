"""A run stored in small files, moved between machines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dggn.model.checkpoint import load_generator
from dggn.model.config import PRESETS, GeneratorConfig
from dggn.training.campaign import portable
from dggn.training.config import DataConfig, TrainConfig
from dggn.training.loss_config import CriticConfig, LossConfig
from dggn.training.state import STATE_NAME, TrainingState
from runtime.errors import ModelError


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """A run with critics, half done."""
    tiny = GeneratorConfig(width=8, image_units=2, gradient_units=1, tail_width=4, se_reduction=2)
    monkeypatch.setitem(PRESETS, "tiny", tiny)
    return TrainConfig(
        preset="tiny",
        steps=10,
        data=DataConfig(patch_lr_px=8, batch_size=1, train=("here",)),
        loss=LossConfig(adversarial=0.1),
        critic=CriticConfig(width=4),
    )


@pytest.fixture
def run(tmp_path: Path, config: TrainConfig) -> Path:
    """Its folder."""
    (tmp_path / "run").mkdir()
    state = TrainingState.fresh(config)
    state.step, state.elapsed_s = 5, 30.0
    state.save(tmp_path / "run" / STATE_NAME)
    return tmp_path / "run"


def test_a_run_travels_in_small_parts(
    tmp_path: Path,
    config: TrainConfig,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(portable, "PART_BYTES", 10_000)
    target = tmp_path / "carried"
    target.mkdir()
    (target / "weights-0000001-1-of-1").write_bytes(b"of an earlier time")
    portable.write_portable(run, target)
    parts = sorted(target.glob("weights-*"))
    assert 10 <= len(parts) < 100
    assert all(part.stat().st_size <= 10_000 for part in parts)
    assert sorted(path.name for path in target.iterdir()) == [
        "progress.json",
        *(f"weights-0000005-{number:02}-of-{len(parts)}" for number in range(1, len(parts) + 1)),
    ]
    joined = tmp_path / "joined.safetensors"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    expected = TrainingState.resume(run / STATE_NAME, config).average.state_dict()
    for name, weights in load_generator(joined).state_dict().items():
        assert torch.equal(weights, expected[name].half().float())

    there = tmp_path / "there"
    assert portable.restore(target, there, {"data": {"train": ["there"]}}, "psnr")
    moved = replace(config, initial="psnr", data=replace(config.data, train=("there",)))
    state = TrainingState.open(there, moved)
    assert (state.step, state.elapsed_s, state.warm_up_from) == (5, 30.0, 5)
    for network in (state.generator, state.average):
        for name, weights in network.state_dict().items():
            assert torch.equal(weights, expected[name].half().float())
    assert not portable.is_complete(there)
    # Existing files are never overwritten.
    assert not portable.restore(target, there, {}, None)
    assert not portable.restore(tmp_path / "nothing", tmp_path / "new", {}, None)
    parts[0].write_bytes(b"another")
    with pytest.raises(ModelError, match="do not match"):
        portable.restore(target, tmp_path / "new", {}, None)
