"""Rounds a generator's weights to float16 before its export.

The exported file may then store them in half (`dggn.onnx_graph.half_weights`), and still computes
exactly what the verified module does.
"""

from __future__ import annotations

import torch
from torch import nn

from runtime.errors import ModelError


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
