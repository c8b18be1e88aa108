"""Rounds a generator's weights before its export to what the file will store.

The exported file (`dggn.onnx_graph.weight_storage`) then computes exactly what the verified module
does.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dggn.onnx_graph.weight_storage import Storage, choose_storage, rounded
from runtime.errors import ModelError


def round_weights(generator: nn.Module, storage: Storage) -> None:
    """Round every weight to its storage, in place.

    Args:
        generator: on the CPU, float32.
        storage: how kernels of convolutions are stored; others are float16 either way. For int4,
            `export.compensate` should have rounded them before.

    Raises:
        ModelError: a weight is too large for its storage, or not finite.
    """
    for name, parameter in generator.named_parameters():
        values = parameter.detach().numpy()
        chosen = choose_storage(storage, values.shape)
        # Of infinite weights there is no scale.
        stored = rounded(values, chosen) if np.isfinite(values).all() else values
        if not np.isfinite(stored).all():
            raise ModelError(f"{name} does not fit {chosen}: export with `--weights float32`")
        parameter.data.copy_(torch.from_numpy(stored))
