from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("onnxruntime", reason="needs the export extra")

import onnx
import onnxruntime

from export.triton import repository as repository_module
from export.triton.repository import RepositoryOptions, write_repository
from export.trt.passes.bytes_io import wrap_in_bytes
from export.trt.passes.islands import float32_nodes
from export.trt.passes.source import read_source
from runtime.backends.trt.verify import PHOTOGRAPH
from runtime.errors import ConfigError, ModelError, TargetError
from runtime.image.picture import Samples
from runtime.model.info import model_path
from runtime.upscaler import Upscaler

NAME = "dggn-lite-photo"
OPTIONS = RepositoryOptions(batch=2, tile_px=64)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("triton") / "new" / "repo"
    served = write_repository(model_path(NAME), folder, OPTIONS)
    assert (served.name, served.tile_px, served.overlap_px) == (NAME, 64, 16)
    return folder


def test_what_is_written(repository: Path) -> None:
    files = {
        path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file()
    }
    assert files == {
        "README.md",
        "client.py",
        f"onnxruntime/{NAME}/config.pbtxt",
        f"onnxruntime/{NAME}/1/model.onnx",
        f"tensorrt/{NAME}/config.pbtxt",
        f"tensorrt/{NAME}/model.onnx",
    }
    assert (repository / "tensorrt" / NAME / "1").is_dir(), "for the engine"
    assert not list(repository.parent.glob(".dggn-*"))
    readme = (repository / "README.md").read_text()
    assert "@" not in readme.replace("@sha", "")
    assert "--optShapes='input':2x64x64x3" in readme


@pytest.mark.parametrize("size", [(1, 1), (13, 21), (64, 40)])
@pytest.mark.parametrize(("place", "most"), [("onnxruntime/{}/1", 1), ("tensorrt/{}", 2)])
def test_graphs_take_every_size(
    repository: Path, photograph: Samples, place: str, most: int, size: tuple[int, int]
) -> None:
    path = repository / place.format(NAME) / "model.onnx"
    session = onnxruntime.InferenceSession(path)
    tile = np.ascontiguousarray(photograph[: size[0], : size[1]])
    (found,) = session.run(None, {"input": np.stack([tile, tile])})
    with Upscaler(NAME, backend="cpu", threads=1) as upscaler:
        expected = upscaler(tile)
    for one in found:
        assert np.abs(one.astype(int) - expected).max() <= most


@pytest.fixture(scope="module")
def photograph() -> Samples:
    from dggn.data.folder import read_rgb

    return read_rgb(PHOTOGRAPH)


def test_padding_leaves_the_islands_of_float32() -> None:
    source = read_source(model_path(NAME))

    def islands(model: Any) -> set[str]:
        wrap_in_bytes(model)
        return {model.graph.node[number].name for number in float32_nodes(model)}

    padded = repository_module._padded(source)
    assert islands(source.model) <= islands(padded)


@pytest.mark.slow
def test_tensorrt_builds_the_graph(repository: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs the rtx extra")
    from export.trt.builder.plan import Graph, build_plan
    from runtime.backends.trt.library import find_library
    from runtime.backends.trt.request import EngineRequest

    graph = Graph(content=(repository / "tensorrt" / NAME / "model.onnx").read_bytes(), least_px=1)
    request = EngineRequest(
        flavor="tensorrt-rtx",
        precision="fp16",
        sample_type="uint8",
        tile_px=64,
        batch=2,
        targets=("sm89",),
    )
    assert build_plan(
        find_library("tensorrt-rtx"),
        graph,
        request,
        on_progress=lambda what, share: None,
        cancelled=threading.Event(),
    )


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        write_repository(model_path(NAME), tmp_path, OPTIONS)
    with pytest.raises(TargetError, match="cannot be written"):
        write_repository(model_path(NAME), tmp_path / "mine" / "repo", OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    write_repository(model_path(NAME), tmp_path, RepositoryOptions())
    assert (tmp_path / "client.py").exists()


def test_a_graph_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def darkened(model: onnx.ModelProto) -> None:
        wrap_in_bytes(model)
        (levels,) = (one for one in model.graph.initializer if one.name.startswith("bytes.levels"))
        levels.CopyFrom(onnx.numpy_helper.from_array(np.array(240, np.float32), levels.name))

    monkeypatch.setattr(repository_module, "wrap_in_bytes", darkened)
    with pytest.raises(ModelError, match="does not reproduce"):
        write_repository(model_path(NAME), tmp_path / "repo", OPTIONS)
    assert not list(tmp_path.iterdir())


def test_models_that_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is quantized"):
        write_repository(model_path("dggn-lite-int8-tensorrt"), tmp_path / "repo", OPTIONS)
    with pytest.raises(ConfigError, match="tile size is 60"):
        write_repository(model_path(NAME), tmp_path / "repo", RepositoryOptions(tile_px=60))
    model = onnx.load(model_path(NAME))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / "single.onnx")
    with pytest.raises(ModelError, match="one size of batches"):
        write_repository(tmp_path / "single.onnx", tmp_path / "repo", OPTIONS)
    assert not (tmp_path / "repo").exists()
