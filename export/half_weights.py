"""Store weights in half the bytes.

    Conv(x, W) = Conv(x, Cast(float16(W)))   up to the rounding of W

ONNX Runtime folds the casts when it loads the model, so that nothing is slower. Rounding the
weights *before* a model is verified (:func:`round_weights`) makes the equality exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from runtime.errors import ModelError

if TYPE_CHECKING:
    import onnx


def round_weights(generator: nn.Module) -> None:
    """Round every weight to float16, in place.

    Raises:
        ModelError: a weight is too large for float16.
    """
    for name, parameter in generator.named_parameters():
        rounded = parameter.detach().half().float()
        if not torch.isfinite(rounded).all():
            raise ModelError(f"{name} does not fit float16: export with `--weights float32`")
        parameter.data.copy_(rounded)


def store_weights_in_half(model: onnx.ModelProto, names: set[str]) -> None:
    """Replace the named float32 initializers by float16 ones and casts, in place.

    The float16 initializer keeps the name; its readers read the cast.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = {}
    for initializer in model.graph.initializer:
        if initializer.name in names:
            half = numpy_helper.to_array(initializer).astype(np.float16)
            name = initializer.name
            initializer.CopyFrom(numpy_helper.from_array(half, name))
            casts[name] = helper.make_node(
                "Cast", [name], [f"{name}.float32"], name=f"{name}.cast", to=TensorProto.FLOAT
            )
    read = set()
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name in casts:
                node.input[index] = f"{name}.float32"
                read.add(name)
    nodes = [casts[name] for name in sorted(read)] + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
