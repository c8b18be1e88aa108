"""The configuration of a model for Triton, `config.pbtxt`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Backend = Literal["onnxruntime", "tensorrt"]

QUEUE_DELAY_US = 2000
"""For tiles of one shape to come together into a batch; a batch takes longer than that."""

QUEUE_BATCHES = 32
"""Batches that may wait; what comes then is refused at once, and clients try again."""

QUEUE_TIMEOUT_US = 30_000_000
"""After which a waiting tile is refused."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """Facts about a model that Triton serves."""

    name: str
    input_name: str
    output_name: str
    batch: int
    """Largest batch."""
    tile_px: int
    """LR pixels per side of the tiles that clients send, context included."""
    overlap_px: int
    """LR pixels of context per side."""
    multiple_px: int
    """Divisor of the origins of tiles."""
    scale: int


def config_text(model: ServedModel, backend: Backend, *, instances: int) -> str:
    """Return a model's configuration, in protobuf's text format.

    Args:
        model: facts about it.
        backend: the backend of Triton that runs it.
        instances: how many work side by side on each GPU.
    """
    facts = {
        "dggn.tile_px": model.tile_px,
        "dggn.overlap_px": model.overlap_px,
        "dggn.multiple_px": model.multiple_px,
        "dggn.scale": model.scale,
    }
    # ONNX Runtime's backend also works without a GPU.
    kind = "KIND_GPU" if backend == "tensorrt" else "KIND_AUTO"
    warm_ups = dict.fromkeys((1, model.batch))  # kernels differ between sizes of batches
    return "\n".join(
        [
            f"name: {_quoted(model.name)}",
            f"backend: {_quoted(backend)}",
            f"max_batch_size: {model.batch}",
            _tensor("input", model.input_name),
            _tensor("output", model.output_name),
            f"""dynamic_batching {{
  max_queue_delay_microseconds: {QUEUE_DELAY_US}
  default_queue_policy {{
    timeout_action: REJECT
    default_timeout_microseconds: {QUEUE_TIMEOUT_US}
    max_queue_size: {QUEUE_BATCHES * model.batch}
  }}
}}""",
            f"instance_group [ {{ count: {instances} kind: {kind} }} ]",
            *(_warm_up(model, batch) for batch in warm_ups),
            _parameters(facts),
            "",
        ]
    )


def _tensor(what: Literal["input", "output"], name: str) -> str:
    return f"{what} [ {{ name: {_quoted(name)} data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }} ]"


def _warm_up(model: ServedModel, batch: int) -> str:
    dims = f"[ {model.tile_px}, {model.tile_px}, 3 ]"
    return f"""model_warmup [ {{
  name: "batch of {batch}"
  batch_size: {batch}
  inputs {{
    key: {_quoted(model.input_name)}
    value {{ data_type: TYPE_UINT8 dims: {dims} random_data: true }}
  }}
}} ]"""


def _parameters(facts: Mapping[str, int]) -> str:
    return "\n".join(
        f'parameters {{ key: {_quoted(key)} value {{ string_value: "{value}" }} }}'
        for key, value in facts.items()
    )


def _quoted(text: str) -> str:
    return json.dumps(text)  # protobuf's text format escapes likewise
