from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


@pytest.mark.parametrize(
    "call", ["decode(source)", "encode(Picture(rgb_hwc=rgb), target, OutputSettings())"]
)
def test_pillow_loads_its_formats_all_at_once(tmp_path: Path, call: str) -> None:
    """Left to itself, it would load some later, perhaps in two threads at the same time."""
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    code = f"""
from pathlib import Path
import numpy as np
from PIL import Image
from runtime.decode import FORMATS, decode
from runtime.encode import encode
from runtime.formats import OutputSettings
from runtime.picture import Picture
source, target = Path("a.png"), Path("b.png")
rgb = np.zeros((2, 3, 3), np.uint8)
assert not set(FORMATS) <= Image.OPEN.keys()
{call}
assert set(FORMATS) <= Image.OPEN.keys()
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
