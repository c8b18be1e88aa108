"""A whole calibration of a tiny generator."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx", reason="needs the calibrate extra")
pytest.importorskip("onnxruntime", reason="needs the calibrate extra")

import onnx

from calibration.calibrate import calibrate
from calibration.options import CalibrationOptions
from calibration.report.markdown import Findings
from calibration.search.measure import largest_seam, mean_psnr_db
from calibration.search.mix import Mixer
from dggn.data.pairs import read_pairs
from runtime.errors import ConfigError, DggnError, ImageReadError, ModelError, TargetError
from runtime.model.info import PREFIX
from runtime.upscaler import Upscaler

OPTIONS = CalibrationOptions(tiles=6, held_out_tiles=2, tile_px=16, max_drop_db=1)


def quantized(
    model: Path, images: Path, output: Path, options: CalibrationOptions = OPTIONS, **other: Any
) -> Findings:
    return calibrate(model, images, output, options, on_progress=lambda *_: None, **other)


@pytest.fixture(scope="module")
def folder(
    models: dict[str, Path], photographs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Files that a calibration leaves."""
    folder = tmp_path_factory.mktemp("int8")
    quantized(models["half"], photographs, folder / "int8.onnx")
    return folder


def test_everything_is_left_beside_the_model(folder: Path) -> None:
    suffixes = ("ledger.json", "md", "onnx", "png", "tiles.json")
    assert sorted(path.name for path in folder.iterdir()) == [f"int8.{end}" for end in suffixes]
    listed = json.loads((folder / "int8.tiles.json").read_text())
    assert len(listed["tiles"]) == 6
    assert listed["sha256"] in (folder / "int8.md").read_text()
    with Image.open(folder / "int8.png") as chart:
        assert chart.format == "PNG"


def test_the_model_carries_its_facts(folder: Path, models: dict[str, Path]) -> None:
    def properties(path: Path) -> dict[str, str]:
        return {entry.key: entry.value for entry in onnx.load(path).metadata_props}

    before, after = properties(models["half"]), properties(folder / "int8.onnx")
    calibration = json.loads(after.pop(f"{PREFIX}calibration"))
    changed = {f"{PREFIX}precision": "int8", f"{PREFIX}halo_px": after[f"{PREFIX}halo_px"]}
    assert after == before | changed
    assert calibration["excitation"] == "frozen"
    assert calibration["target"] == "cpu"
    assert calibration["int8_layers"]


def test_the_runtime_takes_it_like_any_other(folder: Path, models: dict[str, Path]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 21, 3), np.uint8)
    with Upscaler(folder / "int8.onnx") as upscaler, Upscaler(models["half"]) as plain:
        halo_px = upscaler.info.halo_px
        assert upscaler.info == replace(plain.info, precision="int8", halo_px=halo_px)
        assert "in INT8" in upscaler.description
        assert upscaler(image).shape == (120, 84, 3)
        assert np.abs(upscaler(image).astype(int) - plain(image)).max() < 30


def test_the_file_holds_what_the_report_says(
    folder: Path, models: dict[str, Path], photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was measured already")

    with monkeypatch.context() as patched:
        # The second time everything is cached.
        patched.setattr("calibration.search.mix._outputs", never)
        patched.setattr("calibration.search.mix.mean_psnr_db", never)
        patched.setattr("calibration.calibrate.mean_psnr_db", never)
        patched.setattr("calibration.calibrate.observe", never)
        before = (folder / "int8.onnx").read_bytes()
        found = quantized(models["half"], photographs, folder / "int8.onnx")
    assert (folder / "int8.onnx").read_bytes() == before
    assert found.passes
    held_out = read_pairs([photographs])[::5]
    assert mean_psnr_db(folder / "int8.onnx", held_out) == found.outcome.best.psnr_db
    best = found.outcome.best
    assert largest_seam(folder / "int8.onnx", held_out, best.halo_px) == best.seam_levels <= 1
    assert mean_psnr_db(models["half"], held_out) == pytest.approx(
        found.outcome.reference.psnr_db, abs=0.01
    )


def test_what_stays_in_float_keeps_its_8_bits(
    models: dict[str, Path], photographs: Path, tmp_path: Path
) -> None:
    options = replace(OPTIONS, keep_float=("image_trunk.0.enter",))
    found = quantized(models["int8"], photographs, tmp_path / "int8.onnx", options)
    model = onnx.load(tmp_path / "int8.onnx")
    before = {one.name: one for one in onnx.load(models["int8"]).graph.initializer}
    kept = [one for one in model.graph.initializer if one.name.startswith("image_trunk.0.enter.")]
    assert len(kept) > 4
    for tensor in kept:
        assert tensor.SerializeToString() == before[tensor.name].SerializeToString()
    held_out = read_pairs([photographs])[::5]
    assert mean_psnr_db(tmp_path / "int8.onnx", held_out) == found.outcome.best.psnr_db


@pytest.mark.parametrize("prefix", ["image_trnk", ""])
def test_a_layer_that_is_not_there_cannot_stay_in_float(
    models: dict[str, Path], photographs: Path, tmp_path: Path, prefix: str
) -> None:
    options = replace(OPTIONS, keep_float=("image_trunk.0.enter", prefix))
    with pytest.raises(ConfigError, match=f"--keep-float '{prefix}' is the beginning of no layer"):
        quantized(models["int8"], photographs, tmp_path / "int8.onnx", options)


def test_a_stopped_calibration_goes_on(
    models: dict[str, Path], photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[str] = []
    measure = Mixer.cost_db

    def stop_after_three(mixer: Mixer, layer: Any) -> float:
        if len(costs) == 3:
            raise KeyboardInterrupt
        costs.append(layer.name)
        return measure(mixer, layer)

    monkeypatch.setattr(Mixer, "cost_db", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        quantized(models["half"], photographs, tmp_path / "x.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["x.ledger.json"]
    values = json.loads((tmp_path / "x.ledger.json").read_text())["values"]
    before = {"drop with frozen excitation", "ranges"}
    assert set(values) == before | {f"cost {name}" for name in costs}


def test_what_cannot_hold_the_gates_is_not_written(
    models: dict[str, Path], photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def psnr_db(path: Path, pairs: object) -> float:
        return 28.0 if b"QuantizeLinear" in path.read_bytes() else 29.0

    def seam(path: Path, pairs: object, halo_px: int) -> float:
        return 2.0 if b"image_trunk.0.enter.weight.0_quantized" in path.read_bytes() else 0.0

    monkeypatch.setattr("calibration.search.mix.mean_psnr_db", psnr_db)
    monkeypatch.setattr("calibration.search.mix.largest_seam", seam)
    options = replace(OPTIONS, max_drop_db=0.5, keep_float=("gradient",))
    found = quantized(models["half"], photographs, tmp_path / "x.onnx", options)
    assert not found.passes
    assert not (tmp_path / "x.onnx").exists()
    text = (tmp_path / "x.md").read_text()
    assert "**The model was not written**" in text
    assert "for the seams: image_trunk.0.enter" in text
    assert "for the PSNR: " in text


@pytest.mark.parametrize(("drop_db", "is_frozen"), [(0.49, True), (0.51, False)])
def test_gates_freeze_where_that_costs_half_of_what_may_be_lost(
    models: dict[str, Path],
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    drop_db: float,
    is_frozen: bool,
) -> None:
    def psnr_db(path: Path, pairs: object) -> float:
        return 29.0 if b"Sigmoid" in path.read_bytes() else 29.0 - drop_db

    monkeypatch.setattr("calibration.calibrate.mean_psnr_db", psnr_db)
    options = replace(OPTIONS, max_seam_levels=255, keep_float=("image_trunk", "gradient_trunk"))
    found = quantized(models["half"], photographs, tmp_path / "x.onnx", options)
    assert found.is_frozen == is_frozen
    assert found.frozen_drop_db == pytest.approx(drop_db)
    kinds = {node.op_type for node in onnx.load(tmp_path / "x.onnx").graph.node}
    assert ("Sigmoid" in kinds) != is_frozen


def test_layers_can_be_kept_in_float(
    models: dict[str, Path], photographs: Path, tmp_path: Path
) -> None:
    options = replace(
        OPTIONS,
        keep_float=("image_trunk", "gradient", "image_join"),
        target="tensorrt",
        max_seam_levels=255,
    )
    found = quantized(models["bytes"], photographs, tmp_path / "x.onnx", options)
    names = {layer.name for layer in found.outcome.best.layers}
    assert names == {"image_tail.enter", "image_tail.last"}
    assert len(found.pinned) == 14


def test_a_validation_folder(models: dict[str, Path], photographs: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.mkdir()
    (one / "a.png").write_bytes((photographs / "0.png").read_bytes())
    with pytest.raises(ConfigError, match=r"holds one picture, .* name others with --validation"):
        quantized(models["half"], one, tmp_path / "x.onnx")
    options = replace(OPTIONS, max_seam_levels=255, keep_float=("image_trunk", "gradient_trunk"))
    found = quantized(models["half"], one, tmp_path / "x.onnx", options, validation=photographs)
    assert found.validation == f"3 pictures of {photographs.name}"


def _damaged(tmp_path: Path, model: Path) -> Path:
    (tmp_path / "m.onnx").write_bytes(model.read_bytes()[:5000])
    return tmp_path / "m.onnx"


def _with_operator(tmp_path: Path, model: Path, operator: str, domain: str = "") -> Path:
    proto = onnx.load(model)
    node = next(node for node in proto.graph.node if node.op_type == "LeakyRelu")
    node.op_type, node.domain = operator, domain
    del node.attribute[:]
    if domain:
        proto.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    onnx.save(proto, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_damaged, "m.onnx is not a readable ONNX file"),
        (lambda path, model: _with_operator(path, model, "Elu"), "m.onnx holds the operator Elu"),
        (
            lambda path, model: _with_operator(path, model, "Gelu", "com.example"),
            "m.onnx holds the operator com.example.Gelu, which no generator has",
        ),
    ],
)
def test_models_that_cannot_be_calibrated(
    models: dict[str, Path], photographs: Path, tmp_path: Path, make: Any, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        quantized(make(tmp_path, models["half"]), photographs, tmp_path / "x.onnx")


def test_a_quantized_model_is_refused(folder: Path, photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is quantized already: .* Calibrate the float32 model"):
        quantized(folder / "int8.onnx", photographs, tmp_path / "x.onnx")


def test_foreign_models_are_refused(
    models: dict[str, Path], photographs: Path, tmp_path: Path
) -> None:
    proto = onnx.load(models["half"])
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="was not written by dggn-export"):
        quantized(tmp_path / "m.onnx", photographs, tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, ConfigError, "holds no picture"),
        (b"no picture", ImageReadError, "bad.png: not a readable picture"),
    ],
)
def test_pictures_that_cannot_be_used(
    models: dict[str, Path],
    tmp_path: Path,
    content: bytes | None,
    error: type[DggnError],
    message: str,
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    if content:
        (images / "bad.png").write_bytes(content)
    with pytest.raises(error, match=message):
        quantized(models["half"], images, tmp_path / "x.onnx")


def test_other_mistakes(models: dict[str, Path], photographs: Path, tmp_path: Path) -> None:
    model = models["half"]
    with pytest.raises(ConfigError, match="tile size is 12: this model needs a multiple of 8"):
        quantized(model, photographs, tmp_path / "x.onnx", replace(OPTIONS, tile_px=12))
    with pytest.raises(ConfigError, match="smaller than a tile"):
        quantized(model, photographs, tmp_path / "x.onnx", replace(OPTIONS, tile_px=64))
    with pytest.raises(ConfigError, match="is the model itself"):
        quantized(model, photographs, model)
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match="cannot be written"):
        quantized(model, photographs, tmp_path / "file" / "x.onnx")
    for wrong in ({"max_drop_db": -1}, {"max_seam_levels": 256}, {"tiles": 0}, {"tile_px": 0}):
        with pytest.raises(ConfigError):
            replace(OPTIONS, **wrong)  # type: ignore[arg-type]
