"""Choice of the GPUs to build for, and of the library."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import runtime.backends.gpu
from export.trt import targets
from export.trt.targets import choose_targets
from runtime.backends.gpu import Gpu, Probe
from runtime.errors import BackendError, ConfigError, MissingDependency
from tests.support.engine_facts import GPU


class Machine:
    """A machine that records which library is asked for; `auto` is TensorRT-RTX."""

    def __init__(self) -> None:
        self.gpus: tuple[Gpu, ...] = (GPU,)
        self.asked: list[str] = []

    def probe(self) -> Probe:
        return Probe(gpus=self.gpus, problem="" if self.gpus else "the driver is not installed")

    def find_library(self, choice: str) -> Any:
        self.asked.append(choice)
        return SimpleNamespace(flavor="tensorrt-rtx" if choice == "auto" else choice)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(targets, "find_library", machine.find_library)
    for module in (targets, runtime.backends.gpu):
        monkeypatch.setattr(module, "probe", machine.probe)
    return machine


@pytest.mark.parametrize(("flavor", "found"), [("auto", "tensorrt-rtx"), ("tensorrt", "tensorrt")])
def test_unnamed_it_is_this_machines_gpu(machine: Machine, flavor: Any, found: str) -> None:
    machine.gpus = (replace(GPU, compute_capability=(7, 5)), replace(GPU, index=1))
    chosen = choose_targets([], flavor, 1)
    assert (chosen.names, chosen.flavor, chosen.gpu) == (("sm86",), found, machine.gpus[1])


def test_without_a_gpu_tensorrt_is_not_touched(machine: Machine) -> None:
    machine.gpus = ()
    with pytest.raises(BackendError, match=r"none here: the driver.*--target sm86,sm89,sm120"):
        choose_targets([], "auto", 0)
    assert not machine.asked


def test_no_such_gpu(machine: Machine) -> None:
    with pytest.raises(BackendError, match="GPU 3 does not exist: expected one of 0: Card"):
        choose_targets([], "auto", 3)


def test_named_ones_need_no_gpu(machine: Machine) -> None:
    machine.gpus = ()
    chosen = choose_targets(["sm120", "sm86", "sm86"], "auto", 0)
    assert (chosen.names, chosen.gpu) == (("sm86", "sm120"), None)
    assert machine.asked == ["tensorrt-rtx"]


def test_named_ones_need_no_cuda_bindings(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Probe:
        raise MissingDependency("this needs cuda-bindings")

    monkeypatch.setattr(targets, "probe", missing)
    assert choose_targets(["sm86"], "auto", 0).gpu is None


def test_a_named_one_that_is_here_verifies(machine: Machine) -> None:
    machine.gpus = (replace(GPU, compute_capability=(7, 5)), replace(GPU, index=1))
    assert choose_targets(["sm86", "sm89"], "auto", 0).gpu == machine.gpus[1]
    assert choose_targets(["sm89"], "auto", 0).gpu is None


def test_classic_tensorrt_builds_for_no_other_machine(machine: Machine) -> None:
    with pytest.raises(ConfigError, match="--target is for TensorRT-RTX"):
        choose_targets(["sm86"], "tensorrt", 0)
    assert not machine.asked
