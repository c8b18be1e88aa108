"""Contents of a wheel."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.processes import run

ROOT = Path(__file__).parents[2]
ROOMS = ("dggn", "export", "runtime", "calibration")
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    # A copy, so that no build folder of the checkout is reused or left behind.
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path_factory.mktemp("source")
    target = tmp_path_factory.mktemp("wheel")
    for room in (*ROOMS, "tests"):
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(target), str(source)]
    result = run(command)
    assert result.returncode == 0, result.stderr
    (wheel,) = target.glob("dggn-*.whl")
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_module_is_inside(names: set[str]) -> None:
    sources = {
        path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py")
    }
    assert sources <= names


def test_data_is_inside(names: set[str]) -> None:
    assert "runtime/models/dggn-lite.onnx" in names
    assert "dggn/training/recipes/lite.toml" in names
    assert "dggn/training/recipes/campaign/lite.toml" in names
    assert {"runtime/report/page.html", "runtime/report/slider.css"} <= names
    page = (ROOT / "runtime" / "serve" / "page").iterdir()
    assert {f"runtime/serve/page/{path.name}" for path in page} <= names
    assert "runtime/backends/trt/photograph.png" in names
    assert "export/triton/README.md" in names
    assert {f"{room}/py.typed" for room in ROOMS} <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_nothing_else_is_inside(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(ROOMS)
    assert not [name for name in names if "test" in name.lower()]
