"""PyTorch's part of a slot: a network over the slot's memory, on the slot's stream."""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dggn.model.generator import Generator
from runtime.backends.cuda.device import Stream
from runtime.backends.trt.slots import BatchShape
from runtime.model.info import ModelInfo
from tests.benchmarks.gpu.torch_engine import Bytewise


def prepared(generator: Generator, device: torch.device) -> nn.Module:
    """A network between bytes: float16 on a GPU, float32 on the CPU."""
    sample = torch.float16 if device.type == "cuda" else torch.float32
    network: Any = generator.eval()
    network = network.to(device, sample, memory_format=torch.channels_last)
    if generator.config.gradient_units:
        network.gradient.float()
    network.enlargement.float()
    return Bytewise(network, sample)


class TorchExecution:
    """Implements `runtime.backends.trt.slots.Execution`.

    Args:
        network: of :func:`prepared`.
        device: where; on the CPU addresses are the host's, and streams do everything at once.
        info: of the model, with bytes in and out.
    """

    captures_itself = False

    def __init__(self, network: nn.Module, device: torch.device, info: ModelInfo) -> None:
        self._network = network
        self._device = device
        self._scale = info.scale
        self._stream: Any = None
        self._addresses = (0, 0)
        self._input = self._output = torch.empty(0)

    def bind(self, stream: Stream, input_address: int, output_address: int) -> None:
        """Work on this stream and in this memory from now on."""
        self._addresses = (input_address, output_address)
        if self._device.type == "cuda":
            self._stream = torch.cuda.ExternalStream(stream.handle)

    def reshape(self, shape: BatchShape) -> None:
        """Take batches of another shape."""
        batch, height, width = shape
        scale = self._scale
        self._input = self._memory(self._addresses[0], (batch, height, width, 3))
        self._output = self._memory(self._addresses[1], (batch, scale * height, scale * width, 3))

    def enqueue(self) -> None:
        """Queue the inference of a batch."""
        enabled = self._device.type == "cuda"
        with (
            self._on_stream(),
            torch.inference_mode(),
            torch.autocast(self._device.type, torch.float16, enabled=enabled),
        ):
            self._output.copy_(self._network(self._input))

    def free(self) -> None:
        """Forget the memory."""
        self._input = self._output = torch.empty(0)

    def _on_stream(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _memory(self, address: int, shape: tuple[int, ...]) -> Tensor:
        """Bytes at an address as a tensor."""
        if self._device.type != "cuda":
            memory = (ctypes.c_uint8 * int(np.prod(shape))).from_address(address)
            return torch.from_numpy(np.ctypeslib.as_array(memory)).view(shape)
        return torch.as_tensor(_OnDevice(address, shape), device=self._device)


class _OnDevice:
    """Memory of the device as other libraries describe it to PyTorch."""

    def __init__(self, address: int, shape: tuple[int, ...]) -> None:
        self.__cuda_array_interface__ = {
            "data": (address, False),
            "shape": shape,
            "typestr": "|u1",
            "version": 3,
        }
