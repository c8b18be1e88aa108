from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dggn.training.parallel import ProcessContext, open_process
from runtime.errors import ConfigError


def test_alone_on_the_cpu() -> None:
    with open_process("cpu") as process:
        assert process == ProcessContext(device=torch.device("cpu"))
    assert process.is_first
    module = torch.nn.Linear(1, 1)
    assert process.wrap(module) is module
    assert process.agree([1.0, 2.0]) == [1.0, 2.0]
    values = torch.tensor([3.0])
    assert process.mean(values) is values


def test_auto_is_a_gpu_where_there_is_one() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    with open_process("auto") as process:
        assert process.device.type == expected


@pytest.mark.parametrize("name", ["gpu", "cpu:x", "mps", "cuda:99"])
def test_devices_that_are_not_here(name: str) -> None:
    with pytest.raises(ConfigError, match="choose"), open_process(name):
        pass


def test_shares_part_a_batch() -> None:
    batch = torch.arange(6)
    shares = [
        ProcessContext(device=torch.device("cpu"), rank=rank, count=3).share(batch)
        for rank in range(3)
    ]
    assert [share.tolist() for share in shares] == [[0, 3], [1, 4], [2, 5]]
