from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.dggn_run import make


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A small tree."""
    make(tmp_path / "in/a.png")
    make(tmp_path / "in/b.jpg")
    make(tmp_path / "in/sub/c.webp", lossless=True)
    (tmp_path / "in/notes.txt").write_text("not a picture")
    make(tmp_path / "in/.hidden.png")
    return tmp_path / "in"
