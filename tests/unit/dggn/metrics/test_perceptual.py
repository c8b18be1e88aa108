from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="needs the train extra")

from dggn.metrics.perceptual import perceptual_metrics
from runtime.errors import MissingDependency

STAND_IN = """
print("greeting")


class Metric:
    def __init__(self, name, options):
        self.name, self.options = name, options
        self.metric_mode = "FR" if name == "lpips" else "NR"

    def __call__(self, *pictures):
        assert all(picture.shape[:2] == (1, 3) and picture.max() <= 1 for picture in pictures)
        crop = self.options.get("crop_border", 0)
        return sum(picture.mean() for picture in pictures) + len(pictures) + 10 * crop


def create_metric(name, **options):
    print("Downloading", name)
    return Metric(name, options)
"""


@pytest.fixture
def pyiqa_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose `pyiqa.py` is imported instead of the real package."""
    monkeypatch.syspath_prepend(tmp_path)
    real = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "pyiqa"}
    yield tmp_path
    sys.modules.pop("pyiqa", None)
    sys.modules.update(real)


def test_metrics_and_what_they_are_given(
    pyiqa_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pyiqa_folder / "pyiqa.py").write_text(STAND_IN)
    metrics = perceptual_metrics()
    assert list(metrics) == ["lpips", "niqe", "pi"]
    white = np.full((120, 104, 3), 255, np.uint8)
    black: NDArray[np.uint8] = np.zeros_like(white)
    # LPIPS sees both pictures whole, the others one without its border.
    assert metrics["lpips"](white, black) == pytest.approx(3)
    assert metrics["niqe"](white, black) == pytest.approx(42)
    assert metrics["pi"](black, white) == pytest.approx(41)
    assert capsys.readouterr().out == ""
    for name, least_px in (("lpips", 31), ("niqe", 104), ("pi", 104)):
        metrics[name](white[:least_px], black[:least_px])
        with pytest.raises(
            ValueError, match=f"{name} needs {least_px} px .* it is 104x{least_px - 1};"
        ):
            metrics[name](white[: least_px - 1], black[: least_px - 1])


def test_without_pyiqa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.system.package.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"needs pyiqa.*dggn\[metrics\]"):
        perceptual_metrics()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("raise RuntimeError('operator nms does not exist')", "cannot be imported .*nms"),
        (
            "def create_metric(name, **options): raise OSError('no route to host')",
            "weights of lpips cannot be loaded .no route to host.*leave out --perceptual",
        ),
    ],
)
def test_a_broken_pyiqa_and_missing_weights(pyiqa_folder: Path, module: str, message: str) -> None:
    (pyiqa_folder / "pyiqa.py").write_text(module)
    with pytest.raises(MissingDependency, match=message):
        perceptual_metrics()
