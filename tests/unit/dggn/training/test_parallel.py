from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dggn.training.parallel import Place, open_place
from runtime.errors import ConfigError


def test_alone_on_the_cpu() -> None:
    with open_place("cpu") as place:
        assert place == Place(device=torch.device("cpu"))
    assert place.is_first
    module = torch.nn.Linear(1, 1)
    assert place.wrap(module) is module
    assert place.agree([1.0, 2.0]) == [1.0, 2.0]
    values = torch.tensor([3.0])
    assert place.mean(values) is values


def test_auto_is_a_gpu_where_there_is_one() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    with open_place("auto") as place:
        assert place.device.type == expected


@pytest.mark.parametrize("name", ["gpu", "cpu:x", "mps", "cuda:99"])
def test_devices_that_are_not_here(name: str) -> None:
    with pytest.raises(ConfigError, match="choose"), open_place(name):
        pass


def test_shares_part_a_batch() -> None:
    batch = torch.arange(6)
    shares = [
        Place(device=torch.device("cpu"), rank=rank, count=3).share(batch) for rank in range(3)
    ]
    assert [share.tolist() for share in shares] == [[0, 3], [1, 4], [2, 5]]
