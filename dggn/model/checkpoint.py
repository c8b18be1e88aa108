"""Generator weights on disk: safetensors with the resolved configuration inside.

No pickle is ever read: a checkpoint from a stranger can be wrong, but it cannot run code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator
from dggn.settings import from_mapping, to_mapping
from runtime.errors import ConfigError, ModelError

FORMAT_KEY = "dggn_format"
GENERATOR_FORMAT = "generator-1"


def save_generator(path: Path, generator: Generator) -> None:
    """Write a generator's weights and configuration; the file appears when it is complete."""
    write_tensors(
        path,
        dict(generator.state_dict()),
        format_name=GENERATOR_FORMAT,
        header={"generator": to_mapping(generator.config)},
    )


def load_generator(path: Path) -> Generator:
    """Rebuild a generator from :func:`save_generator`, on the CPU, in evaluation mode.

    Raises:
        ModelError: the file is missing, damaged, or no DGGN checkpoint.
    """
    tensors, header = read_tensors(path, format_name=GENERATOR_FORMAT)
    try:
        config = from_mapping(GeneratorConfig, header["generator"], where=str(path))
    except (ConfigError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: its generator configuration is not usable ({error})"
        ) from error
    return generator_from_tensors(config, tensors, where=str(path))


def generator_from_tensors(
    config: GeneratorConfig, tensors: Mapping[str, Tensor], *, where: str
) -> Generator:
    """A generator with the given weights, in evaluation mode.

    Raises:
        ModelError: tensors are missing, left over, of the wrong shape, or not finite.
    """
    generator = Generator(config)
    expected = generator.state_dict()
    missing = sorted(expected.keys() - tensors.keys())
    left_over = sorted(tensors.keys() - expected.keys())
    if missing or left_over:
        raise ModelError(
            f"{where} does not fit its configuration: "
            f"{len(missing)} tensors missing {missing[:3]}, {len(left_over)} unknown {left_over[:3]}"
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise ModelError(
                f"{where}: {name} has shape {tuple(tensor.shape)}, "
                f"expected {tuple(expected[name].shape)}"
            )
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{where}: {name} holds numbers that are not finite")
    generator.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return generator.eval()


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, format_name: str, header: Mapping[str, Any]
) -> None:
    """Write tensors with a JSON header; the file appears when it is complete."""
    metadata = {FORMAT_KEY: format_name, "header": json.dumps(header, sort_keys=True)}
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def read_tensors(path: Path, *, format_name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote.

    Raises:
        ModelError: the file is missing, damaged, or holds another format.
    """
    expected = f"expected a DGGN {format_name.split('-')[0]} checkpoint (.safetensors)"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get(FORMAT_KEY) != format_name:
                found = metadata.get(FORMAT_KEY, "weights of another program")
                raise ModelError(f"{path} holds {found}: {expected}")
            header = json.loads(metadata["header"])
            return {name: file.get_tensor(name) for name in file.keys()}, header
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist: {expected}") from error
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelError(f"{path} is damaged or of another kind ({error}): {expected}") from error
