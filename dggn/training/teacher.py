"""Teacher networks: ONNX files or checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast, get_args

import numpy as np

from dggn.model.config import SCALE
from dggn.training.teach import Image8, Teacher
from runtime.backends.request import BackendName
from runtime.errors import ConfigError, ModelError
from runtime.upscaler import Upscaler


@contextmanager
def open_teacher(path: Path, backend: str = "auto") -> Iterator[Teacher]:
    """Open a teacher: ONNX files run as in `dggn-run`, checkpoints in PyTorch on the CPU.

    Args:
        path: an ONNX file, a checkpoint of ours, or one that spandrel knows.
        backend: inference library for an ONNX file.

    Raises:
        ConfigError: there is no such backend.
        MissingDependency: it needs a library that is not installed.
        ModelError: it is missing, damaged, or does not enlarge four times.
    """
    if not path.is_file():
        raise ModelError(f"{path} does not exist: expected a teacher's ONNX file or checkpoint")
    if path.suffix == ".onnx":
        if backend not in get_args(BackendName):
            raise ConfigError(
                f"backend is {backend!r}: choose from {', '.join(get_args(BackendName))}"
            )
        with Upscaler(path, backend=cast(BackendName, backend)) as upscaler:
            _require_scale(path, upscaler.info.scale)
            yield upscaler
        return
    from dggn.model.community import read_module
    from dggn.model.picture import super_resolve

    network = read_module(path)
    _require_scale(path, network.config.scale)

    def enlarge(image_hwc: Image8) -> Image8:
        return super_resolve(network, np.ascontiguousarray(image_hwc))

    yield enlarge


def _require_scale(path: Path, scale: int) -> None:
    if scale != SCALE:
        raise ModelError(
            f"{path} enlarges {scale} times: expected a teacher that enlarges {SCALE} times"
        )
