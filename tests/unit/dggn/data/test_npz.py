from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dggn.data.npz import read_npz
from runtime.errors import ModelError


class Trap:
    """Would run in an unpickler."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("trapped"),))


def test_arrays_come_back(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, one=np.arange(3), two=np.ones((2, 2), np.float16))
    arrays = read_npz(path, "some arrays")
    assert sorted(arrays) == ["one", "two"]
    assert arrays["two"].dtype == np.float16


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.npz"
    np.savez(path, trap=np.array([Trap()], object))
    with pytest.raises(ModelError, match=r"a\.npz is damaged or of another type: expected weights"):
        read_npz(path, "weights")
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("content", [b"", b"words", b"PK\3\4 torn"])
def test_damage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is damaged or of another type: expected weights"):
        read_npz(path, "weights")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a\.npz does not exist: expected weights"):
        read_npz(tmp_path / "a.npz", "weights")
