"""Places Q/DQ pairs around the convolutions to quantize, as the target requires.

`cpu`: unsigned activations with a zero point, on the inputs and outputs of convolutions and on
what lies between them (LeakyReLU, concatenation, splits, shuffles), so that ONNX Runtime fuses
every pair into its 8-bit kernels. Signed activations would be turned into unsigned ones in some
places and not in others, and convolutions between the two would stay in float.

`tensorrt`: signed, symmetric, on the inputs of convolutions only: TensorRT fuses what follows
a convolution into it, and refuses zero points and 32-bit biases.

Weights are signed, symmetric, with one scale for each output channel. For CPUs they have seven
bits: those without VNNI add two products in 16 bits, which 8-bit weights overflow.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.observe.join_ranges import join_ranges
from calibration.observe.ranges import Ranges
from calibration.prepare.source import Target

if TYPE_CHECKING:
    import onnx

CARRIERS = ("LeakyRelu", "Concat", "Split", "DepthToSpace")
"""Operators that pass 8-bit values through on a CPU."""

OPERATORS: dict[Target, tuple[str, ...]] = {"cpu": ("Conv", *CARRIERS), "tensorrt": ("Conv",)}
"""Operators to quantize, and to observe, by target."""

KEPT = ("enlargement.", "colours.", "gradient.", "image_head.", "gradient_head.")
"""Prefixes of weights that stay in float: the fixed operators and heads see the picture itself."""

KEPT_ANYWHERE = ".se."
"""Infix of weights that stay in float: gates scale whole channels, and cost next to nothing."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One convolution that can be quantized."""

    name: str
    """Name of the module, for example `image_trunk.3.fuse`."""

    nodes: tuple[str, ...]
    """Names of the graph nodes: several if the layer is applied to branches one by one."""


def find_layers(model: onnx.ModelProto) -> list[Layer]:
    """Return the convolutions that can be quantized, in graph order.

    Args:
        model: float32 weights as initializers.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, Layer] = {}
    for node in model.graph.node:
        if node.op_type != "Conv" or node.input[1] not in weights:
            continue
        weight = node.input[1]
        is_kept = weight.startswith(KEPT) or KEPT_ANYWHERE in weight
        if not is_kept:
            name = weight.partition(".weight")[0]
            nodes = (*(found[name].nodes if name in found else ()), node.name)
            found[name] = Layer(name=name, nodes=nodes)
    return list(found.values())


def quantize(
    model: onnx.ModelProto, ranges: Ranges, layers: Collection[Layer], target: Target
) -> onnx.ModelProto:
    """Insert Q/DQ pairs around the given convolutions.

    Args:
        model: float32 weights as initializers; not changed.
        ranges: ranges of every tensor around them.
        layers: the convolutions.
        target: target platform.

    Returns:
        A new model; a copy if there are no layers.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
    from onnxruntime.quantization.calibrate import TensorsData

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    if not layers:
        return copied
    is_cpu = target == "cpu"
    options: dict[str, Any] = {"WeightSymmetric": True, "ActivationSymmetric": not is_cpu}
    if not is_cpu:
        options |= {"QuantizeBias": False, "OpTypesToExcludeOutputQuantization": ["Conv"]}
    nodes = {node for layer in layers for node in layer.nodes}
    if is_cpu:
        nodes |= _carriers_around(model, nodes)
        ranges = join_ranges(model, ranges)
    data = {
        name: (np.array(low, np.float32), np.array(high, np.float32))
        for name, (low, high) in ranges.items()
    }
    quantizer = QDQQuantizer(
        copied,
        per_channel=True,
        # With weights of 8 bits, sums of two products overflow where there is no VNNI.
        reduce_range=is_cpu,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8 if is_cpu else QuantType.QInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, data),
        nodes_to_quantize=sorted(nodes),
        nodes_to_exclude=[],
        op_types_to_quantize=list(OPERATORS[target]),
        extra_options=options,
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantized: onnx.ModelProto = quantizer.model.model
    _spare_float_readers(quantized, nodes, makers_of_8_bit=nodes if is_cpu else ())
    return quantized


def _spare_float_readers(
    model: onnx.ModelProto, quantized: Collection[str], makers_of_8_bit: Collection[str]
) -> None:
    """Let nodes that stay in float read float values where available, in place.

    The quantizer gives quantized values to every reader of a tensor: to residual additions,
    too, although their operand exists in float unless an 8-bit kernel made it.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.name in quantized or node.op_type == "QuantizeLinear":
            continue
        for index, name in enumerate(node.input):
            pair = producers.get(name)
            if pair is None or pair.op_type != "DequantizeLinear":
                continue
            quantizer = producers.get(pair.input[0])
            if quantizer is None:
                continue
            original = quantizer.input[0]
            maker = producers.get(original)
            if maker is None or maker.name not in makers_of_8_bit:
                node.input[index] = original


def _carriers_around(model: onnx.ModelProto, convolutions: Collection[str]) -> set[str]:
    """Return the carriers connected to a convolution through carriers alone."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    producers: dict[str, onnx.NodeProto] = {}
    for node in model.graph.node:
        producers |= dict.fromkeys(node.output, node)
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found: set[str] = set()
    todo = [node for node in model.graph.node if node.name in convolutions]
    while todo:
        node = todo.pop()
        around = [producers[name] for name in node.input if name in producers]
        around += [reader for name in node.output for reader in readers.get(name, [])]
        for other in around:
            if other.op_type in CARRIERS and other.name not in found:
                found.add(other.name)
                todo.append(other)
    return found
