"""A run that is killed repeatedly ends with the same result as an undisturbed one."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import runpy
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from safetensors.torch import load_file

from dggn.data.pairs import Pair
from dggn.model.config import GeneratorConfig
from dggn.settings import to_mapping
from dggn.training.batches import open_batches
from dggn.training.config import TrainConfig
from dggn.training.parallel import ProcessContext
from dggn.training.state import STATE_NAME, WEIGHTS_NAME, TrainingState
from dggn.training.trainer import Trainer
from tests.support.processes import HANGS_S, wait_until

# Given: TINY, CONFIG (mappings), PICTURE (npz of one pair), FOLDER, STEPS (file to write to),
# MOST_STEPS, WAITS.
SCRIPT = """
import numpy as np, time, torch
from pathlib import Path
from dggn.data.pairs import Pair
from dggn.model.config import PRESETS, GeneratorConfig
from dggn.settings import from_mapping
from dggn.training import log
from dggn.training.batches import open_batches
from dggn.training.config import TrainConfig
from dggn.training.parallel import ProcessContext
from dggn.training.state import TrainingState
from dggn.training.trainer import Trainer

torch.set_num_threads(1)
log.find_spec = lambda name: None
PRESETS["tiny"] = from_mapping(GeneratorConfig, TINY, where="test")
config = from_mapping(TrainConfig, CONFIG, where="test")
with np.load(PICTURE) as arrays:
    pairs = [Pair(name="photo", lr_hwc=arrays["lr"], hr_hwc=arrays["hr"])]
process = ProcessContext(device=torch.device("cpu"))

def told(report):
    is_enough = WAITS and report.step == config.steps - 1
    with open(STEPS, "a") as file:
        file.write("." * (MOST_STEPS if is_enough else 1))
    if is_enough:
        time.sleep(600)  # to be killed before its end, however late that comes

with open_batches(config.data, config.seed, pairs, process) as batches:
    trainer = Trainer(TrainingState.open(Path(FOLDER), config), batches, [], Path(FOLDER))
    trainer.run(progress=told, should_stop=lambda: False)
"""

KILLS = 3
MOST_STEPS = 4
"""Before a kill."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("stage", ["psnr", "gan"])
def test_killed_run_ends_bit_for_bit_like_a_straight_one(
    tmp_path: Path,
    stage: str,
    config: TrainConfig,
    gan_config: TrainConfig,
    tiny_config: GeneratorConfig,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = replace(config, steps=20, save_every=3)
    if stage == "gan":
        config = replace(gan_config, steps=14, save_every=2)
    straight, killed, steps = tmp_path / "straight", tmp_path / "killed", tmp_path / "steps"
    cpu = ProcessContext(device=torch.device("cpu"))
    with open_batches(config.data, config.seed, pairs, cpu) as batches:
        Trainer(TrainingState.open(straight, config), batches, [], straight).run(
            progress=lambda report: None, should_stop=lambda: False
        )

    (pair,) = pairs
    np.savez(tmp_path / "pair.npz", lr=pair.lr_hwc, hr=pair.hr_hwc)
    (tmp_path / "run.py").write_text(SCRIPT)
    given: dict[str, Any] = {
        "TINY": to_mapping(tiny_config),
        "CONFIG": to_mapping(config),
        "PICTURE": str(tmp_path / "pair.npz"),
        "FOLDER": str(killed),
        "STEPS": str(steps),
        "MOST_STEPS": MOST_STEPS,
    }
    # A server imports torch once, with what Adam imports at its first step, and forks the runs;
    # they need none of pytest's own modules, which are those of __main__.
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "dggn.training.trainer"])

    @contextlib.contextmanager
    def begun(*, waits: bool) -> Iterator[BaseProcess]:
        """Run it in a process, which ends with the block."""
        arguments = (str(tmp_path / "run.py"), {**given, "WAITS": waits})
        process = context.Process(target=runpy.run_path, args=arguments)
        steps.write_text("")
        process.start()
        try:
            yield process
        finally:
            process.kill()
            process.join()

    chance = random.Random(stage)
    for _ in range(KILLS):
        with begun(waits=True) as process:
            wanted = chance.randint(1, MOST_STEPS)
            wait_until(partial(_has_made, steps, wanted), process)
            time.sleep(chance.uniform(0, 0.05))
        assert process.exitcode == -9, "it ended before it was killed"
    with begun(waits=False) as process:
        process.join(HANGS_S)
        assert process.exitcode == 0

    for name in (STATE_NAME, WEIGHTS_NAME):
        expected, found = load_file(straight / name), load_file(killed / name)
        assert expected.keys() == found.keys()
        different = [key for key in expected if not torch.equal(expected[key], found[key])]
        assert not different
    groups = {key.partition(".")[0] for key in load_file(killed / STATE_NAME)}
    critics = {"image_critic", "gradient_critic"}
    assert (critics | {f"{name}_optimizer" for name in critics} < groups) == (stage == "gan")


def _has_made(steps: Path, count: int) -> bool:
    return len(steps.read_text()) >= count
