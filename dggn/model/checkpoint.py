"""Generator weight files: safetensors with the resolved configuration inside.

No pickle is ever read: a checkpoint from a stranger can be wrong, but it cannot run code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dggn.model.config import GeneratorConfig, read_structure
from dggn.model.enlargement import ColourKeeping, Enlargement
from dggn.model.generator import Generator
from dggn.model.gradient import GradientMagnitude
from dggn.settings import to_mapping
from runtime.errors import ConfigError, ModelError
from runtime.system.files import write_whole

FORMAT_KEY = "dggn_format"
GENERATOR_FORMAT = "generator-1"


def save_generator(path: Path, generator: Generator) -> None:
    """Write a generator's weights and configuration atomically.

    Raises:
        TargetError: the file cannot be written.
    """
    write_tensors(
        path,
        dict(generator.state_dict()),
        format_name=GENERATOR_FORMAT,
        header={"generator": to_mapping(generator.config)},
    )


def load_generator(path: Path) -> Generator:
    """Load a generator from :func:`save_generator`, on the CPU, in evaluation mode.

    Raises:
        ModelError: the file is missing, damaged, or no DGGN checkpoint.
    """
    tensors, header = read_tensors(path, format_name=GENERATOR_FORMAT)
    try:
        config = read_structure(header.get("generator", {}), where=str(path))
    except ConfigError as error:
        raise ModelError(f"{path} is damaged or from another version: {error}") from error
    return generator_from_tensors(config, tensors, where=str(path))


def generator_from_tensors(
    config: GeneratorConfig, tensors: Mapping[str, Tensor], *, where: str
) -> Generator:
    """Build a generator with the given weights, in evaluation mode.

    Raises:
        ModelError: tensors are missing, left over, of the wrong shape, or not finite, or the
            gradient kernels are not those of Eq. 5.
    """
    generator = _without_weights(config, len(tensors), where)
    expected = generator.state_dict()
    missing = sorted(expected.keys() - tensors.keys())
    left_over = sorted(tensors.keys() - expected.keys())
    if missing or left_over:
        raise ModelError(
            f"{where} does not fit its configuration: "
            f"{len(missing)} tensors missing {missing[:3]}, "
            f"{len(left_over)} unknown {left_over[:3]}"
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise ModelError(
                f"{where}: {name} has shape {tuple(tensor.shape)}, "
                f"expected {tuple(expected[name].shape)}"
            )
    weights = {name: tensor.float() for name, tensor in tensors.items()}
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{where}: {name} holds numbers that are not finite")
    generator.load_state_dict(weights, assign=True)
    # Fixed, so that no file holds them.
    generator.enlargement = Enlargement()
    if config.keeps_colours:
        generator.colours = ColourKeeping()
    if config.gradient_units:
        fixed = GradientMagnitude()
        for name, kernel in fixed.state_dict().items():
            if not torch.equal(generator.gradient.get_buffer(name), kernel):
                raise ModelError(f"{where}: gradient.{name} is not the fixed kernel [1, 0, -1]")
        generator.gradient = fixed
    return generator.eval()


def _without_weights(config: GeneratorConfig, tensor_count: int, where: str) -> Generator:
    # A configuration from a stranger may ask for any size: nothing of that size is built
    # before the file is known to hold it.
    try:
        if config.image_units + config.gradient_units > tensor_count:
            raise RuntimeError(f"more units than the file's {tensor_count} tensors")
        with torch.device("meta"):
            return Generator(config)
    except (RuntimeError, OverflowError) as error:
        raise ModelError(f"{where} does not fit its configuration: {error}") from error


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, format_name: str, header: Mapping[str, Any]
) -> None:
    """Write tensors with a JSON header, atomically.

    Raises:
        TargetError: the file cannot be written.
    """
    metadata = {FORMAT_KEY: format_name, "header": json.dumps(header, sort_keys=True)}
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    write_whole(path, content)


def _beside(path: Path, found: str) -> str:
    """Point to the weights beside a training state, which was named by mistake."""
    weights = path.with_name("generator.safetensors")
    is_run = found.startswith("training-") and weights != path and weights.is_file()
    return f"; a run's weights are in {weights}" if is_run else ""


def read_tensors(path: Path, *, format_name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file written by :func:`write_tensors`.

    Raises:
        ModelError: the file is missing, damaged, or holds another format.
    """
    expected = f"expected a DGGN {format_name.split('-')[0]} checkpoint (.safetensors)"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get(FORMAT_KEY) != format_name:
                found = metadata.get(FORMAT_KEY, "weights of another program")
                raise ModelError(f"{path} holds {found}: {expected}{_beside(path, found)}")
            header = json.loads(metadata["header"])
            if not isinstance(header, dict):
                raise ModelError(f"{path} is damaged (its header is not an object): {expected}")
            return {name: file.get_tensor(name) for name in file.keys()}, header
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist: {expected}") from error
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged or of another type ({error}): {expected}") from error
