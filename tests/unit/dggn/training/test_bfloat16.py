from __future__ import annotations

import time

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dggn.training import bfloat16
from dggn.training.bfloat16 import is_bfloat16_slow


@pytest.mark.parametrize(("seconds", "slow"), [(4.0, True), (1.4, False), (0.3, False)])
def test_it_is_slow_where_it_takes_longer(
    monkeypatch: pytest.MonkeyPatch, seconds: float, slow: bool
) -> None:
    clock = [0.0]

    def convolution(*arguments: object, **options: object) -> object:
        clock[0] += seconds if torch.is_autocast_enabled("cpu") else 1.0
        return real(*arguments, **options)

    real = torch.nn.functional.conv2d
    monkeypatch.setattr(torch.nn.functional, "conv2d", convolution)
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    assert is_bfloat16_slow(torch.device("cpu")) is slow


def test_gpus_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfloat16, "_convolution_s", None)
    assert not is_bfloat16_slow(torch.device("cuda"))
