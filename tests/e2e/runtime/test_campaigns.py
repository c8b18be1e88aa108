"""The long campaigns at a small scale; their full results are in docs/trust.md."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("onnxruntime")

if sys.platform != "linux":
    pytest.skip("signals, limits and /proc as Linux has them", allow_module_level=True)

CAMPAIGNS = Path(__file__).parents[2] / "campaigns"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, CAMPAIGNS / f"{name}.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    # Where dataclasses look for it.
    monkeypatch.setitem(sys.modules, name, module)
    specification.loader.exec_module(module)
    return module


def test_faults_leave_every_output_absent_or_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = load("faults", monkeypatch)
    found = faults.campaign(tmp_path, runs=1, pictures=6, seed=3)
    assert {"SIGTERM", "SIGKILL", "encoder raises", "backend raises on a tile"} <= found.keys()
    assert all(counts.is_good for counts in found.values()), faults.table(found)


def test_memory_does_not_grow_with_the_number_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_files = load("many_files", monkeypatch)
    found = many_files.campaign(tmp_path, count=300, early=150)
    assert found.is_complete
    assert found.growth < 0.1
