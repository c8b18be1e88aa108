"""Loads torch modules from exported ONNX files, so that one file serves both frameworks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runtime.errors import ConfigError, ModelError
from runtime.model.info import DEFAULT_MODEL, PREFIX, model_path
from runtime.system.package import require

if TYPE_CHECKING:
    from dggn.model.generator import Generator

LARGEST_FILE_BYTES = 2**30
"""Size above which files are refused unread; the flagships have 9 MB."""


def load(model: str = DEFAULT_MODEL) -> Generator:
    """Load the torch module of a shipped model or of an ONNX file that dggn-export wrote.

    Args:
        model: a shipped name, or the path of an ONNX file.

    Returns:
        The generator, float32, on the CPU, in evaluation mode.

    Raises:
        MissingDependency: torch or onnx is not installed.
        ModelError: there is no such model, or the file is damaged or not one of ours.

    Example:
        Pictures are (N, 3, H, W), RGB in [0, 1].

        >>> import dggn
        >>> import torch
        >>> generator = dggn.load("dggn-lite-photo")
        >>> with torch.no_grad():
        ...     generator(torch.zeros(1, 3, 24, 16)).shape
        torch.Size([1, 3, 96, 64])
    """
    require("torch", "safetensors", "onnx", extra="train")
    import onnx
    import torch
    from google.protobuf.message import DecodeError

    from dggn.model.checkpoint import generator_from_tensors
    from dggn.model.config import read_structure
    from dggn.model.generator import Generator
    from dggn.model.stored_weights import join_parts, stored_names
    from dggn.onnx_graph.weight_storage import read_weights

    path = model_path(model)
    expected = "expected an ONNX file written by `dggn-export onnx`"
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise ModelError(f"{path} is larger than any DGGN model: {expected}")
    try:
        # External data could name any file of this machine: it is never followed.
        proto = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError, ValueError) as error:
        raise ModelError(f"{path} is damaged or of another type ({error}): {expected}") from error
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    try:
        config = read_structure(json.loads(properties[PREFIX + "generator"]), where=str(path))
    except (KeyError, ValueError, TypeError, ConfigError) as error:
        raise ModelError(
            f"{path} has no usable generator configuration ({error}): {expected}"
        ) from error
    with torch.device("meta"):
        parameters = Generator(config).state_dict().keys()
    names = stored_names(parameters, (entry.name for entry in proto.graph.initializer))
    try:
        arrays = read_weights(proto.graph, {part for parts in names.values() for part in parts})
        tensors = {
            name: torch.from_numpy(array) for name, array in join_parts(names, arrays).items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} has no usable weights ({error}): {expected}") from error
    return generator_from_tensors(config, tensors, where=str(path))
