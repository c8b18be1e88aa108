"""Steps are queued without waiting for the device, and their losses read in time."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor

from dggn.data.pairs import Pair
from dggn.model.checkpoint import load_generator
from dggn.training import step as step_module
from dggn.training import trainer as trainer_module
from dggn.training.batches import open_batches
from dggn.training.config import TrainConfig
from dggn.training.forms import GraphedUpdate
from dggn.training.log import read_log
from dggn.training.outcome import Outcome
from dggn.training.parallel import ProcessContext, open_process
from dggn.training.state import STATE_NAME, WEIGHTS_NAME, TrainingState
from dggn.training.step import Step, TrainingForward
from dggn.training.trainer import StepReport
from runtime.errors import ConfigError

Train: TypeAlias = Callable[..., tuple[bool, list[StepReport]]]

CPU = torch.device("cpu")
META = torch.device("meta")
"""Its tensors have no numbers: whoever wants to read one gets an error."""


class AheadPlace(ProcessContext):
    """The CPU, with steps queued as they are for a GPU."""

    @property
    def steps_ahead(self) -> int:
        return 1


class NoBatches:
    """Batches without numbers."""

    def __init__(self, config: TrainConfig) -> None:
        self._shape = config.data.batch_size, 3, config.data.patch_lr_px, config.data.patch_lr_px

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        count, channels, height, width = self._shape
        hr = torch.empty(count, channels, 4 * height, 4 * width, device=META)
        return torch.empty(self._shape, device=META), hr


def record_without_numbers(work: Callable[[], None]) -> Callable[[], None]:
    """Execute work when recording, and again at every replay."""
    work()
    return work


@pytest.mark.parametrize(
    ("stage", "form"),
    [("psnr", "eager"), ("psnr", "eager, as a CUDA graph"), ("gan", "eager")],
)
def test_a_step_reads_nothing_from_the_device(
    config: TrainConfig,
    gan_config: TrainConfig,
    stage: str,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = config if stage == "psnr" else gan_config
    monkeypatch.setattr(step_module, "possible_forms", lambda *_: (form,))
    monkeypatch.setattr(
        step_module, "GraphedUpdate", lambda update: GraphedUpdate(update, record_without_numbers)
    )
    seen: list[Any] = []
    monkeypatch.setattr(step_module, "Outcome", lambda *arguments: seen.append(arguments))
    # There is none for this device.
    monkeypatch.setattr(torch, "autocast", lambda *arguments, **options: nullcontext())
    state = TrainingState.fresh(config, META)
    step = Step(state, NoBatches(config), ProcessContext(device=META))  # type: ignore[arg-type]
    for state.step in range(2):
        step(0.0)
    for updates, *_ in seen:
        assert len(updates) == config.batches_per_step
        assert all(scalar.device == META for update in updates for scalar in update.values())
    assert len(seen) == 2
    with pytest.raises(RuntimeError, match="meta"):
        seen[0][0][-1]["loss"].item()


@pytest.mark.parametrize("with_branch", [True, False])
def test_a_compiled_step_is_one_graph(config: TrainConfig, with_branch: bool) -> None:
    """Reading a value, or branching on one, would break the graph in two."""
    generator = TrainingState.fresh(config).generator
    generator.group_branches(False)
    forward = TrainingForward(generator, with_branch)
    forward.compile(fullgraph=True, backend="aot_eager")
    image, gradient = forward(torch.rand(2, 3, 8, 8))
    assert (gradient is not None) == with_branch
    image.sum().backward()
    assert generator.image_tail.last.weight.grad is not None


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("stage", "form"),
    [
        ("gan", "eager"),
        ("psnr", "eager"),
        ("psnr", "compiled"),
        ("psnr", "eager, as a CUDA graph"),
        ("psnr", "compiled, as a CUDA graph"),
    ],
)
def test_a_step_never_waits_for_a_gpu(
    config: TrainConfig,
    gan_config: TrainConfig,
    pairs: list[Pair],
    stage: str,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(step_module, "possible_forms", lambda *_: (form,))
    config = replace(config if stage == "psnr" else gan_config, precision="bf16")
    with open_process("cuda") as process:
        state = TrainingState.fresh(config, process.device)
        with open_batches(config.data, config.seed, pairs, process) as batches:
            step = Step(state, batches, process)
            step(0.0).read()  # compiles and records
            state.step = 1
            torch.cuda.set_sync_debug_mode("error")
            try:
                outcome = step(0.0)
            finally:
                torch.cuda.set_sync_debug_mode("default")
            assert math.isfinite(outcome.read()["loss"])


def test_reads_a_step_when_the_next_is_queued(
    tmp_path: Path,
    train: Train,
    config: TrainConfig,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[str] = []
    queued: list[Outcome] = []
    queue, read = Step.__call__, Outcome.read

    def noted_queue(self: Step, progress: float) -> Outcome:
        queued.append(queue(self, progress))
        events.append(f"queue {len(queued)}")
        return queued[-1]

    def noted_read(self: Outcome) -> dict[str, float]:
        events.append(f"read {1 + queued.index(self)}")
        return read(self)

    def noted_validation(*arguments: object) -> dict[str, float]:
        events.append("validate")
        return {"psnr_db": 20.0}

    monkeypatch.setattr(Step, "__call__", noted_queue)
    monkeypatch.setattr(Outcome, "read", noted_read)
    monkeypatch.setattr(trainer_module, "validate", noted_validation)
    monkeypatch.setattr(TrainingState, "save", lambda state, path: events.append("save"))
    config = replace(config, steps=7, validate_every=3, save_every=5)
    _, reports = train(config, pairs, tmp_path, validation=pairs, process=AheadPlace(device=CPU))
    assert ", ".join(events) == (
        "save, queue 1, queue 2, read 1, queue 3, read 2, read 3, validate, "
        "queue 4, queue 5, read 4, read 5, save, "
        "queue 6, read 6, validate, queue 7, read 7, validate, save"
    )
    assert [report.step for report in reports] == list(range(1, 8))
    assert [report.progress for report in reports] == [step / 7 for step in range(1, 8)]


@pytest.mark.parametrize("stage", ["psnr", "gan"])
def test_steps_ahead_change_nothing(
    tmp_path: Path,
    train: Train,
    config: TrainConfig,
    gan_config: TrainConfig,
    pairs: list[Pair],
    stage: str,
) -> None:
    config = replace(config if stage == "psnr" else gan_config, log_every=1)
    train(config, pairs, tmp_path / "one", validation=pairs)
    process = AheadPlace(device=CPU)
    assert not train(config, pairs, tmp_path / "ahead", stop_after=2, process=process)[0]
    train(config, pairs, tmp_path / "ahead", validation=pairs, process=process)
    clocks = {"elapsed_s", "images_per_s"}
    one, ahead = (
        [
            {name: value for name, value in record.items() if name not in clocks}
            for record in read_log(tmp_path / name)
        ]
        for name in ("one", "ahead")
    )
    assert one[5:] == ahead[5:]
    assert len(one) == len(ahead) == config.steps
    expected, found = (
        load_generator(tmp_path / name / WEIGHTS_NAME).state_dict() for name in ("one", "ahead")
    )
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_time_ends_a_run_that_queues_ahead(
    tmp_path: Path, train: Train, config: TrainConfig, pairs: list[Pair]
) -> None:
    config = replace(config, steps=10**9, max_minutes=0.3 / 60, save_every=10**9)
    complete, reports = train(
        config, pairs, tmp_path, validation=pairs, process=AheadPlace(device=CPU)
    )
    assert complete
    assert reports[-1].progress == 1.0
    state = TrainingState.open(tmp_path, config)
    assert state.step == reports[-1].step
    last = read_log(tmp_path)[-1]
    assert last["step"] == state.step
    assert "psnr_db" in last


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("failing", [7, 8, 12])
def test_what_a_bad_step_did_is_never_kept(
    tmp_path: Path,
    train: Train,
    config: TrainConfig,
    pairs: list[Pair],
    ahead: bool,
    failing: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The fourth step is saved, the eighth would be, and the twelfth ends the run.
    queue = Step.__call__

    def spoiled(self: Step, progress: float) -> Outcome:
        if self._state.step + 1 == failing:
            parameter = next(self._state.generator.parameters())
            parameter.register_hook(lambda gradient: gradient * math.inf)
        return queue(self, progress)

    monkeypatch.setattr(Step, "__call__", spoiled)
    process = AheadPlace(device=CPU) if ahead else ProcessContext(device=CPU)
    with pytest.raises(
        ConfigError, match=rf"at step {failing - 1} .* gradient's norm (nan|inf).*{STATE_NAME}"
    ):
        train(config, pairs, tmp_path, process=process)
    state = TrainingState.open(tmp_path, config)
    assert state.step == 4 * ((failing - 1) // 4)
    for network in (state.generator, state.average, load_generator(tmp_path / WEIGHTS_NAME)):
        assert all(torch.isfinite(weight).all() for weight in network.parameters())
