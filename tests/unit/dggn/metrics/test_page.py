from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dggn.metrics import page
from dggn.metrics.page import most_detailed_part, write_page
from dggn.metrics.systems import enlarge_bicubic
from runtime.errors import ConfigError, ImageReadError, ModelError, TargetError


def test_holds_both_results_of_every_picture(photo_folder: Path, photo: NDArray[np.uint8]) -> None:
    path = photo_folder.parent / "page.html"
    path.write_text("an older one")
    assert write_page(path, photo_folder, ("bicubic", "bicubic")) == 2
    text = path.read_text(encoding="utf-8")
    assert "{{" not in text
    assert "://" not in re.sub(r"data:[^\"]*", "", text), "it needs nothing from elsewhere"
    assert "<h2>one.png</h2>" in text
    assert "112 x 96 → 448 x 384" in text
    jpegs = re.findall(r"data-src=\"data:image/jpeg;base64,([^\"]*)\"", text)
    assert len(jpegs) == 4
    with Image.open(io.BytesIO(base64.b64decode(jpegs[0]))) as image:
        difference = np.asarray(image).astype(int) - enlarge_bicubic(photo)
    assert np.abs(difference).mean() < 4
    assert list(photo_folder.parent.glob("*.partial")) == []


def test_of_large_pictures_the_most_detailed_part_is_taken() -> None:
    image = np.full((400, 600, 3), 128, np.uint8)
    image[200:, 300:] = np.random.default_rng(0).integers(256, size=(200, 300, 3))
    part = most_detailed_part(image)
    assert part.shape == (192, 256, 3)
    assert (part != 128).mean() > 0.9
    assert most_detailed_part(image.transpose(1, 0, 2)).shape == (256, 192, 3)
    assert np.array_equal(most_detailed_part(image[:100, :120]), image[:100, :120])


def test_mistakes_are_named(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ("bicubic", "bicubic")
    with pytest.raises(ConfigError, match=r"--output is .*one\.png: expected .* \.html"):
        write_page(photo_folder / "one.png", photo_folder, models)
    with pytest.raises(TargetError, match=r"cannot write the page .*none.page\.html: No such"):
        write_page(tmp_path / "none" / "page.html", photo_folder, models)
    (photo_folder / "three.png").write_bytes(b"no picture")
    target = tmp_path / "page.html"
    target.write_text("an older one")
    with pytest.raises(ImageReadError, match=r"three\.png: not a readable picture"):
        write_page(target, photo_folder, models)
    assert target.read_text() == "an older one"
    (photo_folder / "three.png").unlink()
    with monkeypatch.context() as patched:
        patched.setattr("dggn.metrics.systems.enlarge_bicubic", lambda lr: lr)
        with pytest.raises(ModelError, match="bicubic does not enlarge x4"):
            write_page(target, photo_folder, models)
    assert page.PART_LR_PX == (256, 192)
