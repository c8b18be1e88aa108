from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends import select
from runtime.backends.request import BackendRequest
from runtime.codecs.output import OutputSettings
from runtime.errors import BackendError, ConfigError
from runtime.model.info import DEFAULT_MODEL, GPU_DEFAULT_MODEL
from runtime.report.progress import PlainProgress, QuietProgress
from runtime.run.batch import Batch
from runtime.run.dry_run import Speed, dry_run, expected_s, forecast, measure, rough_duration
from runtime.run.options import Options
from runtime.tiles.backend import Backend
from runtime.upscaler import Upscaler

SAMPLE_FORMAT = 339
"""The tag of TIFF that says of what kind numbers are: 2 is signed."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (30, 20)).save(folder / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(folder / "turned.jpg", exif=exif)
    Image.new("RGB", (30, 20)).save(folder / "turned.tif", exif=exif)
    Image.new("F", (30, 20)).save(folder / "float.tif")
    Image.new("I", (30, 20)).save(folder / "long.tif")
    Image.new("I;16", (30, 20)).save(folder / "signed.tif", tiffinfo={SAMPLE_FORMAT: 2})
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def options(photos: Path) -> Options:
    settings = OutputSettings(scale=2)
    return Options(
        source=photos, target=photos.parent / "out", settings=settings, keep_results=True
    )


def test_it_says_what_the_run_then_does(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = dry_run(options(photos), QuietProgress(sys.stderr))
    assert not (photos.parent / "out").exists()
    batch = Batch(options(photos), QuietProgress(sys.stderr))
    batch.run()
    planned = {file.name: file for file in report.files}
    for file in batch.report.files:
        expected = planned[file.name]
        assert expected.status == ("planned" if file.status == "done" else file.status)
        assert (expected.target_size_hw, expected.target) == (file.target_size_hw, file.target)
        assert expected.message == file.message
    assert report.as_dict()["settings"] == batch.report.as_dict()["settings"]
    estimate = report.estimate
    assert estimate is not None
    assert estimate["source_megapixels"] == pytest.approx(4 * 600 / 1e6)
    assert estimate["output_megapixels"] == pytest.approx(4 * 2400 / 1e6)
    assert "4 to upscale, 3 failed" in forecast(report)

    again = dry_run(options(photos), QuietProgress(sys.stderr))
    assert (again.totals.up_to_date, again.totals.planned) == (4, 0)
    assert again.estimate is not None
    assert again.estimate["seconds"] == 0


@pytest.mark.parametrize("builds", [True, False])
def test_where_an_engine_must_be_built_first_its_model_is_planned(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], builds: bool
) -> None:
    def no_engine(onnx: Path, request: BackendRequest) -> Backend:
        raise BackendError(f"there is no TensorRT engine of {onnx.name} for this GPU")

    def build(onnx: Path, request: object, gpu: object) -> Path:
        raise AssertionError("a dry run builds nothing")

    monkeypatch.setattr(select, "_no_tensorrt", lambda: "")
    monkeypatch.setattr(select, "_open_tensorrt", no_engine)
    monkeypatch.setattr(select, "has_cuda", lambda: False)
    request = BackendRequest(build=build if builds else None, threads=1)
    report = dry_run(replace(options(photos), request=request), PlainProgress(sys.stderr))
    model = GPU_DEFAULT_MODEL if builds else DEFAULT_MODEL
    assert report.as_dict()["model"] == model
    assert "no TensorRT engine of dggn-photo.onnx" in capsys.readouterr().err


def test_the_same_refusals_as_the_run(tmp_path: Path) -> None:
    import sys

    with pytest.raises(ConfigError, match="no pictures"):
        dry_run(Options(source=tmp_path, target=tmp_path.parent / "x"), QuietProgress(sys.stderr))


def test_time_counts_tiles_or_encoding_whichever_is_longer() -> None:
    with Upscaler(tile_size=64) as upscaler:
        sizes = [(64, 64)] * 3
        infer = expected_s(sizes, 0, Speed(infer_s=1e-3, encode_s=0), upscaler, jobs=1)
        assert infer == pytest.approx(1.1 * 3 * 64 * 64 * 1e-3)
        encode = expected_s(sizes, 1e6, Speed(infer_s=0, encode_s=1e-5), upscaler, jobs=2)
        assert encode == pytest.approx(1.1 * 5)
        ticks = itertools.count(step=10)
        speed = measure(upscaler, clock=lambda: float(next(ticks)))
        assert speed.infer_s == pytest.approx(10 / 64**2)
        assert speed.encode_s == pytest.approx(10 / 256**2)
        assert np.isfinite(measure(upscaler).infer_s)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"),
        (8.4, "8 s"),
        (89, "89 s"),
        (100, "2 min"),
        (3600, "1 h 0 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert rough_duration(seconds) == words
