"""Writes grouped convolutions as plain ones side by side, and cuts convolutions instead of maps.

With x = Concat(x1, x2), W = (W1, W2) along the output channels, and f a function of single values:

    Conv(x, W, group=2) = Concat(Conv(x1, W1), Conv(x2, W2))
    Split(Conv(x, W))   = Conv(x, W1), Conv(x, W2)
    f(Concat(x1, x2))   = Concat(f(x1), f(x2))

The products and sums are the same. GPUs have slow kernels for few groups, or, as TensorRT 11 in
float16, none; and a Split copies what it cuts. Convolutions of single channels (the gradient
operator) become one plain convolution, with zeros between the channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dggn.onnx_graph.fold import drop_unread
from dggn.onnx_graph.values import all_names, attributes, inner_names, producers, unused_name

if TYPE_CHECKING:
    import onnx

MOST_GROUPS = 8
"""Convolutions of more groups are left alone: as many small kernels would be slower."""

SINGLE_CHANNELS_MOST = 4
"""Maximum number of groups of one channel: the zeros of a plain convolution cost nothing there."""

POINTWISE = frozenset(
    ["Clip", "DequantizeLinear", "Identity", "LeakyRelu", "QuantizeLinear", "Relu", "Sigmoid"]
)


def ungroup(model: onnx.ModelProto) -> None:
    """Apply the equations wherever they remove a group or a Split, in place.

    A convolution keeps its groups if a part of its input cannot be had without a Split.

    Args:
        model: weights as initializers, nodes in topological order; left alone if it has subgraphs.
    """
    if not inner_names(model.graph):
        _Ungrouping(model).run()


class _Ungrouping:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.graph = model.graph
        self.taken = all_names(model.graph)
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.makers = producers(model.graph)
        self.counts = self._counts()
        self.nodes: list[onnx.NodeProto] = []
        self.parts: dict[str, list[str]] = {}
        """Names of a value's equal parts along the channels, in order."""
        self.wholes: set[str] = set()
        """Names of values that are there in parts and as a whole."""
        self.cuts: dict[tuple[str, int], list[str]] = {}

    def run(self) -> None:
        for node in list(self.graph.node):
            self._rewrite(node)
        for value in self.graph.output:
            self._whole(value.name)
        del self.graph.node[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        drop_unread(self.model)

    def _counts(self) -> dict[str, int]:
        """Return how many parts each value is wanted in, of those that can be made in parts."""
        channels = self._channels()
        counts: dict[str, int] = {}
        for node in reversed(self.graph.node):
            source = node.input[0] if node.input else ""
            wanted = [counts.get(name, 1) for name in node.output]
            if node.op_type == "Conv":
                wanted = [_groups(node)] if self._is_grouped(node) else [1]
            elif split := _equal_parts(node):
                wanted = [split * math.lcm(*wanted)]
            elif not _is_pointwise(node, self.stored):
                continue
            count = math.lcm(counts.get(source, 1), *wanted)
            if count > 1 and source in channels and channels[source] % count == 0:
                counts[source] = count
        return counts

    def _channels(self) -> dict[str, int]:
        """Return the channels of the values that can be made in parts."""
        channels: dict[str, int] = {}
        for node in self.graph.node:
            source = channels.get(node.input[0]) if node.input else None
            split = _equal_parts(node)
            if node.op_type == "Conv" and self._weights(node) is not None:
                channels[node.output[0]] = self._shape(node)[0]
            elif source and _is_pointwise(node, self.stored):
                channels[node.output[0]] = source
            elif source and split and source % split == 0:
                channels.update(dict.fromkeys(node.output, source // split))
        return channels

    def _is_grouped(self, node: onnx.NodeProto) -> bool:
        return (
            1 < _groups(node) <= MOST_GROUPS
            and self._weights(node) is not None
            and self._shape(node)[1] > 1
        )

    def _shape(self, node: onnx.NodeProto) -> list[int]:
        """Return the shape of a convolution's weight."""
        name = node.input[1]
        return list(self.stored[name if name in self.stored else self.makers[name].input[0]].dims)

    def _weights(self, node: onnx.NodeProto) -> list[str] | None:
        """Return the weight and the bias of a convolution, if they are stored, or dequantized."""
        names = [name for name in node.input[1:] if name]
        for name in names:
            maker = self.makers.get(name)
            is_quantized = maker is not None and maker.op_type == "DequantizeLinear"
            sources = maker.input if is_quantized and maker is not None else [name]
            if any(source not in self.stored for source in sources):
                return None
        return names

    def _rewrite(self, node: onnx.NodeProto) -> None:
        source = node.input[0] if node.input else ""
        split = _equal_parts(node)
        if node.op_type == "Conv" and self._weights(node) is not None:
            self._convolve(node)
        elif split and source in self.parts and len(self.parts[source]) % split == 0:
            share = len(self.parts[source]) // split
            for number, name in enumerate(node.output):
                self.parts[name] = self.parts[source][number * share : (number + 1) * share]
        elif source in self.parts and _is_pointwise(node, self.stored):
            made = [[part, *node.input[1:]] for part in self.parts[source]]
            self._in_parts(node, made)
        elif node.op_type == "Concat" and attributes(node).get("axis") == 1:
            inputs = [part for name in node.input for part in self.parts.get(name, [name])]
            node.input[:] = inputs
            self.nodes.append(node)
        else:
            for name in node.input:
                self._whole(name)
            self.nodes.append(node)

    def _convolve(self, node: onnx.NodeProto) -> None:
        groups, source = _groups(node), node.input[0]
        parts = self.parts.get(source)
        count = self.counts.get(node.output[0], 1)
        if self._is_grouped(node) and parts and len(parts) % groups == 0:
            count = math.lcm(count, groups)
            count = groups if self._shape(node)[0] % count else count
            share = len(parts) // groups
            sources = [self._joined(parts[g * share : (g + 1) * share]) for g in range(groups)]
            self._cut_in(node, count, [sources[part * groups // count] for part in range(count)])
            return
        self._whole(source)
        if self._is_of_single_channels(node):
            self._make_dense(node)
            groups = 1
        if count > 1 and groups == 1:
            self._cut_in(node, count, [source] * count)
        else:
            self.nodes.append(node)

    def _cut_in(self, node: onnx.NodeProto, count: int, sources: list[str]) -> None:
        weights = [self._cut(name, count) for name in node.input[1:] if name]
        inputs = [[source, *own] for source, *own in zip(sources, *weights, strict=True)]
        _set_groups(node, 1)
        self._in_parts(node, inputs)

    def _in_parts(self, node: onnx.NodeProto, inputs: list[list[str]]) -> None:
        """Add a copy of a node for each part."""
        name = node.output[0]
        self.parts[name] = [self._part(name, number) for number in range(len(inputs))]
        for number, names in enumerate(inputs):
            copy = type(node)()
            copy.CopyFrom(node)
            copy.name = f"{node.name}.part{number}"
            copy.input[:] = names
            copy.output[:] = [self.parts[name][number]]
            self.nodes.append(copy)

    def _whole(self, name: str) -> None:
        """Make a value that is there in parts, once."""
        if name in self.parts and name not in self.wholes:
            self.wholes.add(name)
            self._join(self.parts[name], name)

    def _joined(self, parts: list[str]) -> str:
        if len(parts) == 1:
            return parts[0]
        name = unused_name(f"{parts[0]}.joined", self.taken)
        self._join(parts, name)
        return name

    def _join(self, parts: list[str], name: str) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node("Concat", parts, [name], name=f"{name}.join", axis=1))

    def _part(self, name: str, number: int) -> str:
        return unused_name(f"{name}.part{number}", self.taken)

    def _cut(self, name: str, count: int) -> list[str]:
        """Cut a weight along its output channels; the names of its parts."""
        if (name, count) not in self.cuts:
            self.cuts[name, count] = list(self._cut_weight(name, count))
        return self.cuts[name, count]

    def _cut_weight(self, name: str, count: int) -> Iterator[str]:
        from onnx import numpy_helper

        maker = self.makers.get(name)
        if maker is None:
            arrays = np.split(numpy_helper.to_array(self.stored[name]), count)
            for number, array in enumerate(arrays):
                part = self._part(name, number)
                self.graph.initializer.append(numpy_helper.from_array(array, part))
                yield part
            return
        inputs = [
            # A scale or zero point of the whole tensor is every part's.
            self._cut(one, count) if self.stored[one].dims else [one] * count
            for one in maker.input
        ]
        for number, names in enumerate(zip(*inputs, strict=True)):
            copy = type(maker)()
            copy.CopyFrom(maker)
            copy.name = f"{maker.name}.part{number}"
            copy.input[:] = names
            copy.output[:] = [self._part(name, number)]
            self.nodes.append(copy)
            yield copy.output[0]

    def _is_of_single_channels(self, node: onnx.NodeProto) -> bool:
        weight = self.stored.get(node.input[1])
        groups = _groups(node)
        return (
            weight is not None
            and 1 < groups <= SINGLE_CHANNELS_MOST
            and list(weight.dims[:2]) == [groups, 1]
        )

    def _make_dense(self, node: onnx.NodeProto) -> None:
        from onnx import numpy_helper

        name = node.input[1]
        if (name, 1) not in self.cuts:
            kernels = numpy_helper.to_array(self.stored[name])
            dense = np.zeros((len(kernels), *kernels.shape[:1], *kernels.shape[2:]), kernels.dtype)
            for channel, kernel in enumerate(kernels):
                dense[channel, channel] = kernel[0]
            self.cuts[name, 1] = [unused_name(f"{name}.dense", self.taken)]
            self.graph.initializer.append(numpy_helper.from_array(dense, self.cuts[name, 1][0]))
        node.input[1] = self.cuts[name, 1][0]
        _set_groups(node, 1)


def _groups(node: onnx.NodeProto) -> int:
    return int(attributes(node).get("group", 1))


def _set_groups(node: onnx.NodeProto, groups: int) -> None:
    for entry in node.attribute:
        if entry.name == "group":
            entry.i = groups


def _is_pointwise(node: onnx.NodeProto, stored: dict[str, Any]) -> bool:
    """Return whether a node treats all values of its first input alike."""
    others = [name for name in node.input[1:] if name]
    return node.op_type in POINTWISE and all(
        name in stored and math.prod(stored[name].dims) == 1 for name in others
    )


def _equal_parts(node: onnx.NodeProto) -> int | None:
    """Return the number of equal parts along the channels that a Split makes; None for others."""
    values = attributes(node)
    # Without sizes the parts are equal; so they are not always with a number that does not divide.
    if node.op_type != "Split" or values.get("axis", 0) != 1 or len(node.input) > 1:
        return None
    if "split" in values:
        return None
    return len(node.output)
