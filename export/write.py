"""Exports a generator to a verified ONNX file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dggn.model.checkpoint import generator_from_tensors
from dggn.model.community import CommunityModel, read_module
from dggn.model.generator import Generator
from dggn.model.shipped import load
from dggn.model.stored_weights import stored_names
from dggn.onnx_graph.weight_storage import Storage, choose_storage, store_weights
from export.graph import model_info, onnx_graph
from export.round_weights import round_weights
from export.verify import Comparison, require_equal
from runtime.errors import ModelError
from runtime.model.info import SampleType, shipped_models
from runtime.system.files import whole_file


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Settings of an export."""

    sample_type: SampleType
    """Element type of input and output."""

    weights: Literal["float32"] | Storage
    """Storage type of weights; the graph computes in float32 with any of them."""

    halo_px: int
    """LR pixels of context with which tiles agree with whole pictures."""

    origin: str
    """Origin of the weights, for `dggn-export inspect`."""


def read_generator(source: str) -> Generator | CommunityModel:
    """Read the network for a shipped name, an ONNX file or a checkpoint.

    Raises:
        ModelError: there is no such model, or the file is damaged.
        MissingDependency: the checkpoint is of another architecture, and spandrel is missing.
    """
    if source in shipped_models() or source.endswith(".onnx"):
        return load(source)
    return read_module(Path(source))


def with_colours_kept(generator: Generator | CommunityModel, source: str) -> Generator:
    """Return a generator with the same weights that keeps local mean colours.

    Args:
        generator: one that may shift them.
        source: its origin, for error messages.

    Raises:
        ModelError: it is of another architecture.
    """
    if not isinstance(generator, Generator):
        raise ModelError(
            f"{source} is of another architecture ({generator.config.architecture}): "
            "--keep-colours is for DGGN's own models"
        )
    config = replace(generator.config, keeps_colours=True)
    return generator_from_tensors(config, generator.state_dict(), where=source)


def write_onnx(
    generator: Generator | CommunityModel, target: Path, options: ExportOptions
) -> Comparison:
    """Export, verify, and only then move the file to its final name.

    Args:
        generator: the network; its weights are rounded in place to what the file stores.
        target: the file; replaced when the new one is verified.
        options: the settings.

    Returns:
        The comparison that the file passed.

    Raises:
        ModelError: the exported graph differs from the module, or the weights or the halo do
            not fit.
        TargetError: the file cannot be written.
    """
    import onnx

    if options.weights != "float32":
        round_weights(generator, options.weights)
    info = model_info(
        generator,
        sample_type=options.sample_type,
        halo_px=options.halo_px,
        origin=options.origin,
    )
    model = onnx_graph(generator, info)
    if options.weights != "float32":
        shapes = {one.name: tuple(one.dims) for one in model.graph.initializer}
        parameters = [name for name, _ in generator.named_parameters()]
        parts = [part for parts in stored_names(parameters, shapes).values() for part in parts]
        store_weights(
            model, {part: choose_storage(options.weights, shapes[part]) for part in parts}
        )
    onnx.checker.check_model(model, full_check=True)
    with whole_file(target) as file:
        file.write(model.SerializeToString())
        file.flush()  # it is read by its name
        return require_equal(Path(file.name), generator)
