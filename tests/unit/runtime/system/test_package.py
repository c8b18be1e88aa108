from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from runtime.errors import MissingDependency
from runtime.system.package import _at_start, load


def test_a_package_that_is_there() -> None:
    assert load("json", extra="cpu").loads("1") == 1


def test_a_package_that_is_missing() -> None:
    with pytest.raises(MissingDependency, match=r"pip install 'dggn\[cpu\]'"):
        load("no_such_package", extra="cpu")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"only a part of broken_package is installed: pip install --force-reinstall"),
        ('raise ImportError("DLL load failed")', r"cannot be loaded \(DLL load failed\)"),
        ('raise OSError("libcudnn.so.9: no such file")', r"cannot be loaded \(libcudnn"),
        ("import broken_package.capi.state", r"cannot be loaded \(No module named"),
        ("raise RuntimeError", r"cannot be loaded \(RuntimeError\)"),
    ],
)
def test_a_package_that_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, message: str
) -> None:
    """What is left when one of two distributions with one folder was removed, and the like."""
    (tmp_path / "broken_package/capi").mkdir(parents=True)
    if content is not None:
        (tmp_path / "broken_package/__init__.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_package", raising=False)
    with pytest.raises(MissingDependency, match=message):
        load("broken_package", extra="cpu")


def test_names_that_a_legacy_encoding_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    _at_start(False)
    sys.stdout.write("é 猫")
    sys.stdout.flush()
    assert raw.getvalue() == b"\xe9 \\u732b"
