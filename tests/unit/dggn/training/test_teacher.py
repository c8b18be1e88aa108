from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")
onnx = pytest.importorskip("onnx", reason="needs the export extra")

from dggn.model.checkpoint import save_generator
from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator
from dggn.model.picture import super_resolve
from dggn.training.teacher import open_teacher
from runtime.errors import ConfigError, ModelError
from runtime.model.info import DEFAULT_MODEL, ModelInfo, model_path


def test_a_checkpoint_of_ours(
    tmp_path: Path, tiny_config: GeneratorConfig, photo: NDArray[np.uint8]
) -> None:
    generator = Generator(tiny_config).eval()
    path = tmp_path / "tiny.safetensors"
    save_generator(path, generator)
    with open_teacher(path) as teacher:
        # A view, as crops are.
        assert np.array_equal(
            teacher(photo[:, ::-1]), super_resolve(generator, photo[:, ::-1].copy())
        )


def test_an_onnx_file(photo: NDArray[np.uint8]) -> None:
    with open_teacher(model_path(DEFAULT_MODEL), "onnxruntime") as teacher:
        assert teacher(photo[:24, :32]).shape == (96, 128, 3)


def test_a_network_of_another_scale(tmp_path: Path) -> None:
    model = onnx.load(model_path(DEFAULT_MODEL))
    properties = {one.key: one.value for one in model.metadata_props}
    info = replace(ModelInfo.from_metadata(properties, where="a test"), scale=2)
    onnx.helper.set_model_props(model, info.to_metadata())
    path = tmp_path / "twice.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelError, match="enlarges 2 times"), open_teacher(path, "onnxruntime"):
        pass


def test_what_cannot_teach(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="backend is 'gpu'"),
        open_teacher(model_path(DEFAULT_MODEL), "gpu"),
    ):
        pass
    with (
        pytest.raises(ModelError, match="does not exist"),
        open_teacher(tmp_path / "a.safetensors"),
    ):
        pass
