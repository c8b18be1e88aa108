"""PyTorch, eager and compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dggn.model.generator import Generator
from tests.benchmarks.gpu.engine import Bytes
from tests.benchmarks.gpu.plan import NotMeasured, Plan
from tests.benchmarks.gpu.timing import per_second

MATRIX_SIDES = (4096, 8192, 16384)
CONVOLUTIONS = ((96, 128, 3), (192, 128, 3), (192, 128, 5), (256, 128, 3), (512, 64, 3))
"""Channels, size and kernel: the network's own shapes, and larger ones that suit the device."""


class Bytewise(nn.Module):
    """A network with bytes in and out, like an engine.

    Args:
        network: NCHW in [0, 1].
        sample: type that it computes in.
    """

    def __init__(self, network: nn.Module, sample: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.sample = sample

    def forward(self, tiles_nhwc: Tensor) -> Tensor:
        """(N, H, W, 3) uint8 to (N, 4H, 4W, 3) uint8."""
        # Permuted pixels are channels_last already.
        image = tiles_nhwc.permute(0, 3, 1, 2).to(self.sample) / 255
        output: Tensor = self.network(image).float()
        return (output * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


class TorchEngine:
    """A module in float16, channels_last.

    Args:
        model: its name.
        plan: of the measurement.
        compiled: whether it goes through torch.compile.
    """

    def __init__(self, model: str, plan: Plan, *, compiled: bool) -> None:
        if not plan.dry_run and not torch.cuda.is_available():
            raise NotMeasured(f"PyTorch {torch.__version__} finds no CUDA GPU")
        self._plan = plan
        self._device = torch.device("cpu" if plan.dry_run else "cuda")
        sample = torch.float32 if plan.dry_run else torch.float16
        # Our own file, written in this run.
        network = torch.load(plan.work / f"{model}.pt", weights_only=False).eval()
        network = _laid_out(network, self._device, sample)
        if isinstance(network, Generator) and network.config.gradient_units:
            network.gradient.float()
        torch.backends.cudnn.benchmark = True
        self._network: Callable[[Tensor], Tensor] = Bytewise(network, sample)
        how = "eager"
        if compiled:
            if plan.dry_run:
                # Compiling for a CPU takes minutes, too long for a dry run.
                how = "aot_eager"
                self._network = torch.compile(self._network, backend=how)
            else:
                how = f"mode {plan.compile_mode}"
                self._network = torch.compile(self._network, mode=plan.compile_mode)
        self.description = f"PyTorch {torch.__version__}, {how}, {self._device.type}"
        if self._device.type == "cuda":
            self.description += f", CUDA {torch.version.cuda}"
        tiles = torch.from_numpy(np.load(plan.work / "tiles.npy"))
        self._pinned = tiles if plan.dry_run else tiles.pin_memory()
        self._tiles = self._pinned.to(self._device)
        # Not in inference mode, whose tensors cannot be written to later.
        shape = self._run(self._tiles).shape
        self._result = torch.empty(shape, dtype=torch.uint8, pin_memory=not plan.dry_run)

    def _run(self, tiles: Tensor) -> Tensor:
        # What is float32 on purpose, the gradient magnitude, is cast where float16 goes on.
        enabled = self._device.type == "cuda"
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, torch.float16, enabled=enabled),
        ):
            return self._network(tiles)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def infer(self, tiles_nhwc: Bytes) -> Bytes:
        """Super-resolve a batch."""
        return self._run(torch.from_numpy(tiles_nhwc).to(self._device)).cpu().numpy()

    def engine_only(self, seconds: float) -> float:
        """Batches per second, on the device."""
        return per_second(lambda: self._run(self._tiles), self._wait, seconds)

    def with_copies(self, seconds: float) -> float:
        """Batches per second, from and to page-locked memory, on one stream."""

        def step() -> None:
            tiles = self._pinned.to(self._device, non_blocking=True)
            self._result.copy_(self._run(tiles), non_blocking=True)

        return per_second(step, self._wait, seconds)

    @torch.inference_mode()
    def rates(self, seconds: float) -> dict[str, float]:
        """Best rates of float16 matrix products and convolutions, in operations per second."""
        tiny = self._plan.dry_run
        sample = torch.float32 if tiny else torch.float16
        best = {"matrix product": 0.0, "convolution": 0.0}
        for side in (64,) if tiny else MATRIX_SIDES:
            one, other = torch.randn(2, side, side, device=self._device, dtype=sample)
            done = torch.empty_like(one)
            rate = per_second(partial(torch.mm, one, other, out=done), self._wait, seconds)
            best["matrix product"] = max(best["matrix product"], rate * 2 * side**3)
        for channels, size, kernel in ((8, 16, 3),) if tiny else CONVOLUTIONS:
            batch = self._plan.batch * 2
            image = torch.randn(batch, channels, size, size, device=self._device, dtype=sample)
            layer = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
            layer = _laid_out(layer, self._device, sample)
            image = image.to(memory_format=torch.channels_last)
            rate = per_second(partial(layer, image), self._wait, seconds)
            work = 2 * batch * size**2 * channels**2 * kernel**2
            best["convolution"] = max(best["convolution"], rate * work)
        return best

    def close(self) -> None:
        """Free the device."""
        del self._network, self._tiles
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _laid_out(module: nn.Module, device: torch.device, sample: torch.dtype) -> Any:
    memory_format = torch.channels_last
    return module.to(device, sample, memory_format=memory_format)  # type: ignore[call-overload]
