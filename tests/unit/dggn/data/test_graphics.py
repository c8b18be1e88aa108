from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFont

pytest.importorskip("matplotlib", reason="brings the fonts")

from dggn.data import graphics
from dggn.data.graphics import draw_graphic
from dggn.data.sheet import ENGLISH, FONTS, SCRIPTS, Sheet, load_font
from runtime.errors import MissingDependency

KINDS = (
    graphics._page,
    graphics._window,
    graphics._line_art,
    graphics._shapes,
    graphics._chart,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_depends_on_the_generator_alone() -> None:
    first = draw_graphic(120, 200, rng(1))
    assert first.shape == (120, 200, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, draw_graphic(120, 200, rng(1)))
    assert not np.array_equal(first, draw_graphic(120, 200, rng(2)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("scale", [1, 4])
def test_every_kind_draws_edges_on_flat_paper(kind: object, scale: int) -> None:
    assert callable(kind)
    for seed in range(4):
        sheet = Sheet(100 * scale, 140 * scale, rng(seed), scale)
        kind(sheet)
        grey = np.asarray(sheet.image.convert("L")).astype(int)
        steps = np.abs(np.diff(grey, axis=1))
        assert np.ptp(grey) > 60, "something is drawn"
        assert (steps > 40).mean() > 0.0005, "with sharp edges"
        assert (steps <= 2).mean() > 0.4, "and the rest is flat"


def test_what_is_drawn_large_looks_the_same_reduced() -> None:
    for seed in range(10):
        large = Image.fromarray(draw_graphic(400, 560, rng(seed))).reduce(4)
        screen = np.asarray(draw_graphic(100, 140, rng(seed), scale=1)).astype(float)
        alike = np.corrcoef(np.asarray(large).ravel(), screen.ravel())[0, 1]
        assert alike > 0.5, seed


def test_sizes_need_not_fit_the_scale() -> None:
    for seed in range(10):
        assert draw_graphic(31, 45, rng(seed)).shape == (31, 45, 3)


def test_every_font_is_there_and_has_the_letters() -> None:
    widths = set()
    for number in range(len(FONTS) + 1):
        font = load_font(number, 20)
        assert isinstance(font, ImageFont.FreeTypeFont)
        widths.add(font.getlength("Handgloves"))
        missing = bytes(font.getmask("\uffff"))
        for script in SCRIPTS if number < len(FONTS) else (ENGLISH,):
            assert not [letter for letter in script if bytes(font.getmask(letter)) == missing]
    assert len(widths) >= 6, "they differ"


def test_without_matplotlib_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.system.package.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="matplotlib.*dggn\\[train\\]"):
        draw_graphic(40, 40, rng())
