from __future__ import annotations

import pytest

from runtime.run import memory
from runtime.run.memory import default_memory_bytes, total_memory_bytes


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory_limit", lambda: None)
    physical = total_memory_bytes()
    monkeypatch.setattr(memory, "memory_limit", lambda: 1 << 20)
    assert total_memory_bytes() == 1 << 20
    assert default_memory_bytes() == 1 << 18
    monkeypatch.setattr(memory, "memory_limit", lambda: 1 << 60)
    assert total_memory_bytes() == physical


def test_the_default_has_an_upper_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "total_memory_bytes", lambda: 1 << 40)
    assert default_memory_bytes() == 4 << 30
