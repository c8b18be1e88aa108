"""Triton's server as nvidia-pytriton brings it: real, on the CPU, with the Python backend alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import started, wait_until

MODEL = """
import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        folder = f"{args['model_repository']}/{args['model_version']}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options)
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name

    def execute(self, requests):
        tiles = [triton.get_input_tensor_by_name(one, self.input).as_numpy() for one in requests]
        (large,) = self.session.run(None, {self.input: np.concatenate(tiles)})
        parts = np.split(large, np.cumsum([len(one) for one in tiles])[:-1])
        return [triton.InferenceResponse([triton.Tensor(self.output, part)]) for part in parts]
"""
"""Runs an exported graph as the ONNX Runtime backend does."""


def with_python_backend(model: Path) -> None:
    """Make Triton's Python backend run a model of its ONNX Runtime backend."""
    config = model / "config.pbtxt"
    text = config.read_text()
    assert 'backend: "onnxruntime"' in text
    config.write_text(text.replace('backend: "onnxruntime"', 'backend: "python"'))
    (model / "1" / "model.py").write_text(MODEL)


@contextlib.contextmanager
def triton_server(repository: Path, work: Path) -> Iterator[str]:
    """Serve a repository; yield HOST:PORT of the gRPC service.

    Args:
        repository: of models with the Python backend.
        work: an empty folder.
    """
    from pytriton.utils.distribution import get_libs_path, get_root_module_path, get_stub_path
    from tritonclient.grpc import InferenceServerClient, InferenceServerException

    home = get_root_module_path() / "tritonserver"
    backends = work / "backends"
    shutil.copytree(home / "backends", backends)
    stub = get_stub_path(f"{sys.version_info[0]}.{sys.version_info[1]}")
    shutil.copy(stub, backends / "python")
    port = _free_port()
    command = [
        home / "bin" / "tritonserver",
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        f"--grpc-port={port}",
        "--grpc-address=127.0.0.1",
        "--allow-http=false",
        "--allow-metrics=false",
    ]
    libraries = os.pathsep.join([str(get_libs_path()), os.environ.get("LD_LIBRARY_PATH", "")])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries, "PATH": path}
    with (work / "log").open("w") as log:
        streams = {"stdout": log, "stderr": log}
        with started(command, env=environment, **streams) as process:
            client = InferenceServerClient(f"127.0.0.1:{port}")

            def is_ready() -> bool:
                try:
                    return bool(client.is_server_ready())
                except InferenceServerException:
                    assert process.poll() is None, (work / "log").read_text()[-3000:]
                    return False

            wait_until(is_ready)
            client.close()
            yield f"127.0.0.1:{port}"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
