"""Writes a model repository for Triton, which appears whole or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dggn.data.folder import read_rgb
from dggn.onnx_graph.source import SourceModel
from export.triton.config import Backend, ServedModel, config_text
from export.triton.padding import pad_inside
from export.trt.passes.assemble import half_graph
from export.trt.passes.bytes_io import wrap_in_bytes
from export.trt.passes.source import read_source
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.trt.verify import PHOTOGRAPH
from runtime.errors import ConfigError, ModelError, TargetError
from runtime.model.info import model_name
from runtime.tiles.plan import check_tiling, default_tile_px

if TYPE_CHECKING:
    import onnx

RELEASE = "25.08"
"""Release of NVIDIA's containers that the README names; any later one will do."""

TOLERANCE = 1
"""Largest difference from the model, in levels of 255."""

ODD_PX = (45, 51)
"""Height and width of the picture that is compared: no multiple of anything that models need."""


@dataclass(frozen=True, kw_only=True)
class RepositoryOptions:
    """Settings of a repository."""

    batch: int = 8
    """Largest batch of tiles."""
    tile_px: int | None = None
    """LR pixels per side of a tile; None for the size that `dggn-run` takes."""
    instances: int = 1
    """Copies of the model on each GPU."""


def write_repository(path: Path, folder: Path, options: RepositoryOptions) -> ServedModel:
    """Write a model for Triton's ONNX Runtime and TensorRT backends, with README and client.

    Args:
        path: the model's ONNX file, float32.
        folder: must not exist, or be empty.
        options: the settings.

    Returns:
        The facts in the configurations.

    Raises:
        ConfigError: the options do not suit the model, or there is something in the folder.
        ModelError: the model cannot be served.
        TargetError: the folder cannot be written.
        DggnError: ONNX Runtime is missing, or fails.
    """
    source = read_source(path)
    padded = replace(source, model=_padded(source))
    served = _served(source, options)
    graph = _bytes_graph(padded)
    engine_graph = half_graph(padded)
    with _new_folder(folder) as new:
        models: dict[Backend, tuple[str, onnx.ModelProto]] = {
            # Triton looks into numbered folders alone, so that the graph may lie beside them.
            "onnxruntime": ("1/model.onnx", graph),
            "tensorrt": ("model.onnx", engine_graph),
        }
        for backend, (place, model) in models.items():
            home = new / backend / served.name
            (home / "1").mkdir(parents=True)
            text = config_text(served, backend, instances=options.instances)
            (home / "config.pbtxt").write_text(text, encoding="utf-8")
            (home / place).write_bytes(model.SerializeToString())
        _require_equal(new / "onnxruntime" / served.name / "1" / "model.onnx", source)
        (new / "README.md").write_text(_readme(served), encoding="utf-8")
        shutil.copy(Path(__file__).with_name("client.py"), new)
    return served


def _served(source: SourceModel, options: RepositoryOptions) -> ServedModel:
    info, graph = source.info, source.model.graph
    tile_px = default_tile_px(info.halo_px) if options.tile_px is None else options.tile_px
    check_tiling(tile_size=tile_px, overlap=info.halo_px, multiple=info.size_multiple_px)
    return ServedModel(
        # Of a file, which may be named as no folder of a server's should be.
        name=re.sub(r"[^\w.-]", "-", model_name(source.path)),
        input_name=graph.input[0].name,
        output_name=graph.output[0].name,
        batch=options.batch,
        tile_px=tile_px,
        overlap_px=info.halo_px,
        multiple_px=info.size_multiple_px,
        scale=info.scale,
    )


def _padded(source: SourceModel) -> onnx.ModelProto:
    import onnx

    where = source.path
    if source.is_quantized or source.info.sample_type == "uint8":
        kind = "quantized" if source.is_quantized else "of 8-bit samples"
        raise ConfigError(
            f"{where} is {kind}: repositories are made of float32 models, to which they add what "
            "the server needs"
        )
    sizes = source.model.graph.input[0].type.tensor_type.shape.dim
    if any(sizes[axis].dim_value for axis in (0, 2, 3)):
        raise ModelError(
            f"{where} takes one size of batches or tiles only: export it with dynamic axes"
        )
    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    pad_inside(model, multiple=source.info.size_multiple_px, scale=source.info.scale)
    return model


def _bytes_graph(padded: SourceModel) -> onnx.ModelProto:
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(padded.model)
    wrap_in_bytes(model)
    del model.metadata_props[:]
    info = replace(padded.info, sample_type="uint8")
    onnx.helper.set_model_props(model, info.to_metadata())
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"{padded.path} cannot be padded: {error}") from error
    return model


def _require_equal(path: Path, source: SourceModel) -> None:
    """Compare the graph that is served with the model, on a picture that needs padding."""
    height, width = ODD_PX
    tile = read_rgb(PHOTOGRAPH)[:height, :width]
    multiple, scale = source.info.size_multiple_px, source.info.scale
    missing = [(0, -size % multiple) for size in ODD_PX]
    with OrtBackend(source.path, where="cpu") as model, OrtBackend(path, where="cpu") as served:
        expected = model.run(np.pad(tile, (*missing, (0, 0)), mode="edge")[None])
        result = served.run(tile[None])
    difference = np.abs(result.astype(int) - expected[:, : scale * height, : scale * width])
    if result.shape[1:3] != (scale * height, scale * width) or difference.max() > TOLERANCE:
        raise ModelError(
            f"the graph for Triton does not reproduce {source.path}: the largest difference is "
            f"{difference.max()} levels. Nothing was kept; please report it"
        )


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Provide a folder that takes its name when the block succeeds, and is removed otherwise."""
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty: choose another --output, or empty it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".dggn-", dir=folder.parent) as place:
            new = Path(place) / folder.name
            new.mkdir()
            yield new
            if folder.exists():
                folder.rmdir()
            new.rename(folder)
    except OSError as error:
        raise TargetError(
            f"{folder} cannot be written: {error.strerror or error}. Choose another --output"
        ) from error


def _readme(model: ServedModel) -> str:
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    facts = {
        "NAME": model.name,
        "INPUT": model.input_name,
        "SCALE": model.scale,
        "TILE": model.tile_px,
        "OVERLAP": model.overlap_px,
        "BATCH": model.batch,
        "RELEASE": RELEASE,
    }
    for key, value in facts.items():
        text = text.replace(f"@{key}@", str(value))
    return text
