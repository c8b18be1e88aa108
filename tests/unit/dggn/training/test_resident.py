from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from safetensors.torch import load_file

from dggn.data.pairs import Pair, read_pairs
from dggn.data.prepared import PrepareOptions
from dggn.training.batches import open_batches
from dggn.training.config import DataConfig, TrainConfig
from dggn.training.parallel import ProcessContext
from dggn.training.prepare import prepare
from dggn.training.state import WEIGHTS_NAME
from runtime.errors import ConfigError

CPU = ProcessContext(device=torch.device("cpu"))


@pytest.mark.parametrize("rotate", [True, False])
@pytest.mark.parametrize("process", [CPU, replace(CPU, rank=1, count=2)])
def test_crops_are_those_that_are_cut_outside(
    photo_folder: Path, tmp_path: Path, pairs: list[Pair], rotate: bool, process: ProcessContext
) -> None:
    # Pictures of several sizes, also one that holds no crop, and read-only ones.
    options = PrepareOptions(size_px=64, step_px=40, scales=(1.0, 0.5))
    prepare(photo_folder, tmp_path / "set", options, on_source=lambda _: None)
    small = Pair(name="small", lr_hwc=pairs[0].lr_hwc[:9, :9], hr_hwc=pairs[0].hr_hwc[:36, :36])
    pictures = [small, *pairs, *read_pairs([tmp_path / "set"])]
    config = DataConfig(patch_lr_px=10, batch_size=32, rotate=rotate)
    with (
        open_batches(config, 7, pictures, process) as outside,
        open_batches(replace(config, resident=True), 7, pictures, process) as resident,
    ):
        for number in (0, 1, 5):
            for expected, found in zip(outside.batch(number), resident.batch(number), strict=True):
                assert torch.equal(expected, found)
                assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("stage", ["config", "gan_config"])
def test_a_run_is_the_same_bit_for_bit_and_resumes(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    pairs: list[Pair],
    train: Callable[..., Any],
    stage: str,
) -> None:
    config: TrainConfig = request.getfixturevalue(stage)
    resident = replace(config, data=replace(config.data, resident=True))
    assert train(config, pairs, tmp_path / "outside")[0]
    assert train(resident, pairs, tmp_path / "resident")[0]
    assert not train(resident, pairs, tmp_path / "stopped", stop_after=2)[0]
    assert train(resident, pairs, tmp_path / "stopped")[0]
    expected = load_file(tmp_path / "outside" / WEIGHTS_NAME)
    for folder in ("resident", "stopped"):
        found = load_file(tmp_path / folder / WEIGHTS_NAME)
        assert all(torch.equal(expected[name], found[name]) for name in expected), folder


@pytest.mark.parametrize("change", [{"degradation": "photo"}, {"scale_jitter": 0.5}])
def test_what_the_device_does_not_do_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="only cut, flipped and turned"):
        DataConfig(resident=True, **change)


def test_pictures_larger_than_the_gpu_are_refused(
    pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    # 96x112 px and their reductions take 34,272 bytes.
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (68_000, 10**9))
    process = replace(CPU, device=torch.device("cuda", 0))
    with (
        pytest.raises(ConfigError, match="the 1 training pictures take .* and cuda:0 has"),
        open_batches(DataConfig(patch_lr_px=8, resident=True), 0, pairs, process),
    ):
        pass
