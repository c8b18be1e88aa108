from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dggn.data.pairs import Pair
from dggn.training.batches import open_batches
from dggn.training.config import TrainConfig
from dggn.training.parallel import ProcessContext
from runtime.errors import ConfigError

CPU = ProcessContext(device=torch.device("cpu"))


def test_batches_are_pictures_of_their_number(config: TrainConfig, pairs: list[Pair]) -> None:
    with open_batches(config.data, 0, pairs, CPU) as batches:
        lr, hr = batches.batch(3)
        again = batches.batch(3)
        other, _ = batches.batch(4)
    assert lr.shape == (2, 3, 8, 8)
    assert hr.shape == (2, 3, 32, 32)
    assert lr.dtype == hr.dtype == torch.float32
    assert hr.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= hr.min() < hr.max() <= 1
    assert torch.equal(lr, again[0]) and torch.equal(hr, again[1])
    assert not torch.equal(lr, other)


def test_processes_see_together_what_one_alone_sees(config: TrainConfig, pairs: list[Pair]) -> None:
    data = replace(config.data, batch_size=4)
    seen = []
    for process in (CPU, *(replace(CPU, rank=rank, count=2) for rank in range(2))):
        with open_batches(data, 0, pairs, process) as batches:
            seen.append(batches.batch(5)[1])
    whole, first, second = seen
    assert torch.equal(whole[0::2], first)
    assert torch.equal(whole[1::2], second)


def test_a_batch_must_be_shared_evenly(config: TrainConfig, pairs: list[Pair]) -> None:
    process = replace(CPU, count=3)
    with (
        pytest.raises(ConfigError, match="batch_size is 2: 3 processes cannot share it"),
        open_batches(config.data, 0, pairs, process),
    ):
        pass
