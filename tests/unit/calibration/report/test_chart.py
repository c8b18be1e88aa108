from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from calibration.report.chart import BARS_PX, HEADER_PX, MARGIN_PX, NAME_PX, ROW_PX, Bar, bar_chart
from calibration.report.markdown import RED


def test_bars_are_to_scale() -> None:
    bars = [Bar(name=str(v), value=v, colour=RED) for v in (4.0, 1.0, 0.0, math.inf)]
    image = np.asarray(Image.open(io.BytesIO(bar_chart("title", bars))))
    lengths = [
        int((image[MARGIN_PX + HEADER_PX + n * ROW_PX + 6] == RED).all(axis=-1).sum())
        for n in range(4)
    ]
    assert lengths == [BARS_PX + 1, BARS_PX // 4 + 1, 1, 1]
    assert (image[MARGIN_PX + HEADER_PX + 6, MARGIN_PX + NAME_PX] == RED).all()
