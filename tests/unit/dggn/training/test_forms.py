"""Forms of a step, on the CPU with simulated CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor

from dggn.data.pairs import Pair
from dggn.model.checkpoint import load_generator
from dggn.training import step as step_module
from dggn.training.config import TrainConfig
from dggn.training.forms import GraphedUpdate, possible_forms, try_forms
from dggn.training.parallel import ProcessContext
from dggn.training.state import WEIGHTS_NAME

if TYPE_CHECKING:
    from dggn.training.trainer import StepReport

CPU = ProcessContext(device=torch.device("cpu"))
CUDA = ProcessContext(device=torch.device("cuda", 0))
AS_GRAPH = "eager, as a CUDA graph"


def record_on_cpu(work: Callable[[], None]) -> Callable[[], None]:
    """Execute work at every replay, like a graph, but not when recording."""
    work()
    return work


class Clock:
    """Clock that advances only while forms work."""

    def __init__(self) -> None:
        self.now = 0.0

    def step(self, seconds: float, calls: list[float]) -> Callable[[], None]:
        def work() -> None:
            # The first call compiles.
            self.now += seconds if calls else 60
            calls.append(seconds)

        return work


def test_the_fastest_form_is_found_within_its_time() -> None:
    clock = Clock()
    calls: dict[str, list[float]] = {"slow": [], "quick": []}
    forms = {"slow": clock.step(0.2, calls["slow"]), "quick": clock.step(0.05, calls["quick"])}
    trial = try_forms(forms, wait=lambda: None, budget_s=30, clock=lambda: clock.now)
    assert trial.fastest == "quick"
    assert trial.steps_per_s == pytest.approx({"slow": 5, "quick": 20})
    assert 10 < sum(map(sum, calls.values())) <= 30
    assert trial.lines == ["steps a second: slow 5.0; quick 20.0: training quick"]


def test_a_form_that_is_slower_than_the_time_for_it_is_still_measured() -> None:
    clock = Clock()
    forms = {"slow": clock.step(100.0, [])}
    trial = try_forms(forms, wait=lambda: None, budget_s=30, clock=lambda: clock.now)
    assert trial.steps_per_s == pytest.approx({"slow": 0.01})


def test_waiting_for_the_device_is_part_of_a_step() -> None:
    clock = Clock()

    def wait() -> None:
        clock.now += 1

    trial = try_forms({"a": lambda: None}, wait=wait, budget_s=2, clock=lambda: clock.now)
    assert trial.steps_per_s == {"a": 3}


def test_a_form_that_does_not_work_is_left_out() -> None:
    def fail() -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    clock = Clock()
    forms = {"eager": clock.step(0.5, []), AS_GRAPH: fail}
    trial = try_forms(forms, wait=lambda: None, clock=lambda: clock.now)
    assert trial.fastest == "eager"
    assert trial.lines[1:] == [f"not {AS_GRAPH}: operation not permitted when stream is capturing"]
    with pytest.raises(RuntimeError, match="capturing"):
        try_forms({AS_GRAPH: fail}, wait=lambda: None)


def test_forms_that_a_run_can_have(config: TrainConfig, gan_config: TrainConfig) -> None:
    compiled = replace(config, compile=True)
    assert possible_forms(config, CPU) == ("eager",)
    assert possible_forms(compiled, CPU) == ("compiled",)
    assert possible_forms(config, CUDA) == ("eager", AS_GRAPH)
    assert possible_forms(compiled, CUDA) == (
        "eager",
        "compiled",
        AS_GRAPH,
        "compiled, as a CUDA graph",
    )
    assert possible_forms(config, replace(CUDA, count=2)) == ("eager",)
    for changing in (
        replace(gan_config, fusion_only_steps=0),
        replace(config, fusion_only_steps=3),
    ):
        assert possible_forms(changing, CUDA) == ("eager",)


def test_a_recorded_update_reads_every_batch_in_its_own_memory() -> None:
    seen: list[tuple[int, int]] = []
    totals: list[float] = []

    def update(lr: Tensor, hr: Tensor, shift: Tensor | None) -> dict[str, Tensor]:
        assert shift is not None
        seen.append((lr.data_ptr(), shift.data_ptr()))
        totals.append(float(lr.sum() + hr.sum() + shift.sum()))
        return {"loss": lr.mean()}

    graphed = GraphedUpdate(update, record_on_cpu)
    for value in (1.0, 2.0, 3.0):
        lr, shift = torch.full((1, 3, 2, 2), value), torch.tensor([int(value), 0])
        assert graphed(lr, torch.zeros(1, 3, 8, 8), shift) == {"loss": torch.tensor(value)}
    assert len(set(seen)) == 1
    assert totals == [13, 13, 26, 39]


@pytest.mark.parametrize("winner", ["eager", AS_GRAPH])
def test_the_form_changes_no_weight(
    tmp_path: Path,
    train: Callable[..., tuple[bool, list[StepReport]]],
    config: TrainConfig,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
    winner: str,
) -> None:
    """A trial before the first step has no effect, and a graph computes the same."""
    config = replace(config, steps=4)
    train(config, pairs, tmp_path / "plain")
    tried: list[str] = []

    def try_all(forms: dict[str, Callable[[], Any]], wait: Any) -> Any:
        for form, step in forms.items():
            tried.append(form)
            step()
            step()
        trial = try_forms(forms, wait=lambda: None, budget_s=0)
        return replace(trial, steps_per_s={winner: 1.0})

    monkeypatch.setattr(step_module, "possible_forms", lambda *_: ("eager", AS_GRAPH))
    monkeypatch.setattr(step_module, "try_forms", try_all)
    monkeypatch.setattr(
        step_module, "GraphedUpdate", lambda update: GraphedUpdate(update, record_on_cpu)
    )
    train(config, pairs, tmp_path / "tried")
    assert tried == ["eager", AS_GRAPH]
    plain, other = (
        load_generator(tmp_path / name / WEIGHTS_NAME).state_dict() for name in ("plain", "tried")
    )
    assert all(torch.equal(plain[name], other[name]) for name in plain)
