from __future__ import annotations

import json
from pathlib import Path

import pytest

from calibration.search.ledger import Ledger
from runtime.errors import TargetError


def never() -> float:
    raise AssertionError("it was measured already")


def test_values_outlive_the_run(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.ledger.json"
    first = Ledger(path, {"model": "a", "tiles": (1, 2)})
    assert first.get("cost one", lambda: 1.5) == 1.5
    assert first.get("cost one", never) == 1.5
    assert first.get("cost none", lambda: float("inf")) == float("inf")
    second = Ledger(path, {"model": "a", "tiles": (1, 2)})
    assert second.get("cost one", never) == 1.5
    assert second.get("cost none", never) == float("inf")
    assert [entry.name for entry in path.parent.iterdir()] == ["x.ledger.json"]


def test_another_key_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger.json"
    Ledger(path, {"model": "a"}).get("cost", lambda: 1)
    assert Ledger(path, {"model": "b"}).get("cost", lambda: 2) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"key": {"model": "a"}, "values": 3}'])
def test_damage_starts_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.ledger.json"
    path.write_text(content)
    assert Ledger(path, {"model": "a"}).get("cost", lambda: 2) == 2
    assert json.loads(path.read_text())["values"] == {"cost": 2}


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match=r"x.ledger.json cannot be written"):
        Ledger(tmp_path / "file" / "x.ledger.json", {})
