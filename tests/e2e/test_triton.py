"""`dggn-export triton`, read by Triton's own definitions and served by its own server."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx", reason="needs onnx and onnxruntime")
pytest.importorskip("onnxruntime", reason="needs onnx and onnxruntime")
pytest.importorskip("tritonclient.grpc", reason="needs tritonclient[grpc]")

from runtime.backends.trt.verify import PHOTOGRAPH
from tests.support.processes import run
from tests.support.triton_server import triton_server, with_python_backend

NAME = "dggn-lite-photo"
TILE = 64

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("triton") / "repo"
    command = [sys.executable, "-c", "from export.cli import app; app()"]
    done = run([*command, "triton", NAME, "-o", folder, "--tile", str(TILE), "--batch", "4"])
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("backend", ["onnxruntime", "tensorrt"])
def test_triton_reads_the_configuration(repository: Path, backend: str) -> None:
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    text = (repository / backend / NAME / "config.pbtxt").read_text()
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == (NAME, backend, 4)
    for tensor in (config.input[0], config.output[0]):
        assert (tensor.data_type, list(tensor.dims)) == (model_config_pb2.TYPE_UINT8, [-1, -1, 3])
    policy = config.dynamic_batching.default_queue_policy
    assert config.dynamic_batching.max_queue_delay_microseconds > 0
    assert (policy.max_queue_size, policy.timeout_action) == (
        128,
        model_config_pb2.ModelQueuePolicy.REJECT,
    )
    assert [warm.batch_size for warm in config.model_warmup] == [1, 4]
    (warm,) = config.model_warmup[0].inputs.values()
    assert list(warm.dims) == [TILE, TILE, 3]
    kinds = {"onnxruntime": "KIND_AUTO", "tensorrt": "KIND_GPU"}
    group = model_config_pb2.ModelInstanceGroup
    assert group.Kind.Name(config.instance_group[0].kind) == kinds[backend]


@pytest.fixture(scope="module")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("pytriton", reason="needs nvidia-pytriton")
    served = tmp_path_factory.mktemp("served")
    shutil.copytree(repository / "onnxruntime", served / "models")
    with_python_backend(served / "models" / NAME)
    with triton_server(served / "models", served) as url:
        yield url


def client(repository: Path, *arguments: str | Path) -> tuple[int, str]:
    done = run([sys.executable, repository / "client.py", *arguments])
    return done.returncode, done.stderr


@pytest.mark.parametrize("size", [(128, 96), (101, 67), (5, 3)])
def test_the_client_makes_what_dggn_run_makes(
    server: str, repository: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    picture = tmp_path / "picture.png"
    with Image.open(PHOTOGRAPH) as whole:
        whole.convert("RGB").crop((0, 0, *size)).save(picture)
    code, said = client(
        repository, picture, tmp_path / "served.png", "--url", server, "--model", NAME
    )
    assert code == 0, said
    app = [sys.executable, "-c", "from runtime.cli import app; app()"]
    done = run([*app, picture, tmp_path / "local.png", "--backend", "cpu", "--threads", "1"])
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "served.png") as one, Image.open(tmp_path / "local.png") as other:
        assert one.size == other.size == (4 * size[0], 4 * size[1])
        difference = np.abs(np.asarray(one, int) - np.asarray(other, int))
    assert difference.max() <= 1


def test_what_the_client_says_of_trouble(server: str, repository: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(picture)
    for url, model, source in (
        ("127.0.0.1:9", NAME, picture),
        (server, "none", picture),
        (server, NAME, tmp_path / "none.png"),
    ):
        code, said = client(repository, source, tmp_path / "x.png", "--url", url, "--model", model)
        assert code == 1
        assert said.strip()
        assert "Traceback" not in said
    assert not (tmp_path / "x.png").exists()
