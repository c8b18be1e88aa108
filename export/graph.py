"""Traces generators to ONNX graphs."""

from __future__ import annotations

import json
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from dggn.model.community import CommunityConfig, CommunityModel
from dggn.model.config import PRESETS
from dggn.model.generator import Generator
from dggn.model.stored_weights import part_name, stored_names
from dggn.settings import to_mapping
from runtime.errors import ModelError
from runtime.model.foreign import FOREIGN_HALO_PX
from runtime.model.info import PREFIX, ModelInfo, SampleType

if TYPE_CHECKING:
    import onnx

OPSET = 18

DEFAULT_HALO_PX = 16
"""Default context of tiles in LR pixels, with which they agree with whole pictures; see
docs/tiling.md.
"""


def default_halo_px(generator: Generator | CommunityModel) -> int:
    """Return the default context of a generator's tiles, in LR pixels."""
    if isinstance(generator, Generator):
        return DEFAULT_HALO_PX
    multiple = generator.config.size_multiple_px
    return -(-FOREIGN_HALO_PX // multiple) * multiple


class ByteGenerator(nn.Module):
    """A generator with byte input and output, so that tiles cross the bus at one byte per sample.

    The casts are the very first and the very last operation: TensorRT takes 8-bit tensors
    nowhere else. Its cast truncates, hence the clamp and the rounding before it.

    Args:
        generator: the network inside.
    """

    def __init__(self, generator: Generator | CommunityModel) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image_nhwc: Tensor) -> Tensor:
        """Map (N, H, W, 3) uint8 RGB to (N, scale * H, scale * W, 3) uint8 RGB."""
        output = self.generator(image_nhwc.float().permute(0, 3, 1, 2) / 255)
        quantized = torch.round(torch.clamp(output * 255, 0, 255))
        return quantized.permute(0, 2, 3, 1).to(torch.uint8)


def model_info(
    generator: Generator | CommunityModel, *, sample_type: SampleType, halo_px: int, origin: str
) -> ModelInfo:
    """Return the exported generator's facts for the runtime.

    Raises:
        ModelError: the halo does not fit the generator's size multiple.
    """
    config = generator.config
    if isinstance(config, CommunityConfig):
        preset = config.architecture
    else:
        preset = next((name for name, one in PRESETS.items() if one == config), "custom")
    return ModelInfo(
        preset=preset,
        scale=config.scale,
        sample_type=sample_type,
        size_multiple_px=config.size_multiple_px,
        halo_px=halo_px,
        origin=origin,
    )


def onnx_graph(generator: Generator | CommunityModel, info: ModelInfo) -> onnx.ModelProto:
    """Trace a generator to ONNX, with dynamic batch, height and width.

    Initializers keep the parameters' names; the gradient operator is two fixed convolutions, and
    none has groups. Weights that only training uses are kept as initializers that
    no node reads, so that the module can be rebuilt from the file.

    Args:
        generator: the network, on the CPU, in evaluation mode.
        info: written into the metadata properties.

    Returns:
        The model, with `input` and `output` as `info.sample_type` says, float32 weights.
    """
    import onnx

    is_bytes = info.sample_type == "uint8"
    module = ByteGenerator(generator).eval() if is_bytes else generator
    multiple = info.size_multiple_px
    # A size that no dimension of the network has, so that none is taken for a constant.
    least = -(-8 // multiple) * multiple
    rows, columns = 5 * least, 7 * least
    sample = torch.zeros(2, rows, columns, 3, dtype=torch.uint8)
    if not is_bytes:
        sample = sample.permute(0, 3, 1, 2).float()
    batch, height, width = (torch.export.Dim(name) for name in ("batch", "height", "width"))
    sizes = (multiple * height, multiple * width) if multiple > 1 else (height, width)
    shape = (
        {0: batch, 1: sizes[0], 2: sizes[1]} if is_bytes else {0: batch, 2: sizes[0], 3: sizes[1]}
    )
    form = generator.in_form_for_engines() if isinstance(generator, Generator) else nullcontext()
    with form, warnings.catch_warnings():
        # The exporter warns of its own use of torch's internals.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            program = torch.onnx.export(
                module,
                (sample,),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=(shape,),
            )
        except torch.onnx.OnnxExporterError as error:
            raise ModelError(
                f"PyTorch cannot export {info.preset} to ONNX ({str(error).splitlines()[0]})"
            ) from error
    assert program is not None
    model = program.model_proto
    _forget_source(model)
    _store_parts(model)
    _name_sizes(model, info)
    if is_bytes:
        _strip_prefix(model, "generator.")
    weights = generator.state_dict() if isinstance(generator, Generator) else {}
    present = stored_names(weights, (initializer.name for initializer in model.graph.initializer))
    for name, tensor in weights.items():
        if name not in present:
            model.graph.initializer.append(onnx.numpy_helper.from_array(tensor.numpy(), name))
    properties = {
        **info.to_metadata(),
        PREFIX + "range": "[0, 255]" if is_bytes else "[0, 1]",
    }
    if isinstance(generator, Generator):
        # From this, dggn.load rebuilds the module.
        properties[PREFIX + "generator"] = json.dumps(to_mapping(generator.config), sort_keys=True)
    onnx.helper.set_model_props(model, properties)
    return model


def _store_parts(model: onnx.ModelProto) -> None:
    """Store the parts of initializers that the graph splits, so that it splits nothing."""
    import onnx

    whole = {initializer.name: initializer for initializer in model.graph.initializer}
    cut: dict[str, list[str]] = {}
    kept = []
    names: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type != "Split" or node.input[0] not in whole:
            kept.append(node)
            continue
        name = node.input[0]
        cut[name] = [part_name(name, number) for number in range(len(node.output))]
        names |= dict(zip(node.output, cut[name], strict=True))
    for name, parts in cut.items():
        arrays = np.array_split(onnx.numpy_helper.to_array(whole[name]), len(parts))
        model.graph.initializer.remove(whole[name])
        model.graph.initializer.extend(
            onnx.numpy_helper.from_array(array, part)
            for array, part in zip(arrays, parts, strict=True)
        )
    for node in kept:
        node.input[:] = [names.get(name, name) for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    read = {name for node in kept for name in node.input}
    sizes = [one for one in model.graph.initializer if one.name not in read]
    for one in sizes:
        model.graph.initializer.remove(one)


def _forget_source(model: onnx.ModelProto) -> None:
    """Drop the exporter's stack traces: a sixth of the file, with local paths."""
    del model.graph.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]


def _name_sizes(model: onnx.ModelProto, info: ModelInfo) -> None:
    """Replace the exporter's symbolic dimensions with readable names."""
    for value, prefix in ((model.graph.input[0], ""), (model.graph.output[0], "output_")):
        dimensions = value.type.tensor_type.shape.dim
        height, width = (1, 2) if info.sample_type == "uint8" else (2, 3)
        dimensions[0].dim_param = "batch"
        dimensions[height].dim_param = f"{prefix}height"
        dimensions[width].dim_param = f"{prefix}width"
    del model.graph.value_info[:]


def _strip_prefix(model: onnx.ModelProto, prefix: str) -> None:
    """Remove a wrapper's prefix from initializer names."""
    for initializer in model.graph.initializer:
        initializer.name = initializer.name.removeprefix(prefix)
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = name.removeprefix(prefix)
