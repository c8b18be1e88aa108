from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="needs the train extra")

from matplotlib.figure import Figure
from PIL import Image

from dggn.settings import to_mapping
from dggn.training.loss_config import LossConfig
from dggn.training.plot import draw_curves
from runtime.errors import ConfigError, TargetError

RECORDS = [
    {"step": 1, "loss": 0.5, "adversarial": -0.1, "image_critic": -2.0, "learning_rate": 1e-4},
    {"step": 2, "loss": 0.4, "adversarial": 0.1, "image_critic": 3.0, "psnr_db": 30.0},
]


def test_a_panel_for_each_group_that_is_there(tmp_path: Path) -> None:
    draw_curves(RECORDS, tmp_path / "all.png", title="run")
    draw_curves([{"step": 1, "loss": 0.5}], tmp_path / "one.png", title="run")
    heights = []
    for name in ("all.png", "one.png"):
        with Image.open(tmp_path / name) as image:
            assert image.format == "PNG"
            heights.append(image.height)
    assert heights[0] == pytest.approx(4 * heights[1], abs=2)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that are written."""
    figures: list[Figure] = []
    save = Figure.savefig

    def savefig(figure: Figure, *arguments: Any, **options: Any) -> None:
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return figures


def test_every_term_of_the_loss_has_a_curve(tmp_path: Path, saved: list[Figure]) -> None:
    terms = to_mapping(LossConfig())
    draw_curves([{"step": 1, "loss": 0.5, **terms}], tmp_path / "all.png", title="run")
    assert {line.get_label() for line in saved[0].axes[0].get_lines()} == {"loss", *terms}


def test_legends_hide_no_curve(tmp_path: Path, saved: list[Figure]) -> None:
    draw_curves(RECORDS, tmp_path / "all.png", title="run")
    axis = saved[0].axes[0]
    legend = axis.get_legend()
    assert legend is not None
    box, curves, page = legend.get_window_extent(), axis.get_window_extent(), saved[0].bbox
    assert curves.x1 <= box.x0 and box.x1 <= page.x1


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="empty so far"):
        draw_curves([], tmp_path / "a.png", title="run")
    with pytest.raises(TargetError, match="cannot be written"):
        draw_curves(RECORDS, tmp_path / "none" / "a.png", title="run")
