"""Deciding whether a compiled model may be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("openvino", reason="needs the cpu extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends.openvino import trust
from runtime.backends.openvino.library import OpenVinoDevice
from runtime.backends.trt.verify import Bounds
from runtime.image.picture import Samples
from tests.support.openvino_models import INFO


class Stripes:
    """Output that depends on a tile's position, which makes seams of some grey levels."""

    uniform_tiles = False
    largest_tile_px = None
    precision = "float32"
    description = "a test"
    info = INFO

    def __init__(self, levels: int) -> None:
        self.levels = levels

    def submit(self, tile_hwc: Samples, deliver: Callable[[Samples], None]) -> None:
        result = tile_hwc.repeat(2, 0).repeat(2, 1) // 2
        result[: tile_hwc.shape[0]] += np.uint8(self.levels)
        deliver(result)

    def finish(self) -> None: ...

    def cancel(self) -> None: ...

    def __enter__(self) -> Stripes:
        return self

    def __exit__(self, *exception: object) -> None: ...


@pytest.mark.parametrize(
    ("levels", "others", "passes"), [(1, 0, True), (2, 0, False), (2, 2, True)]
)
def test_seams_count_unless_the_model_has_them(
    levels: int, others: int, passes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trust.BOUNDS, "bfloat16", Bounds(psnr_db=1, largest_difference=255))
    subject = trust.Subject(
        onnx_sha256="0" * 64,
        openvino="1",
        device=OpenVinoDevice(name="CPU", full_name="A chip", capabilities=()),
        computed="bfloat16",
        samples="uint8",
    )
    problem = trust.trust_problem(
        subject,
        INFO,
        Stripes(levels),
        lambda: Stripes(others),
        folder=tmp_path / "verdicts",
        say=pytest.fail,
    )
    assert (problem == "") is passes
    if not passes:
        assert "differ from the whole picture by up to 2 8-bit levels in bfloat16" in problem
