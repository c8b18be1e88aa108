"""Large networks for measurements, written as ONNX."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from dggn.model.community import CommunityConfig, CommunityModel
from export.graph import default_halo_px
from export.write import ExportOptions, write_onnx
from tests.benchmarks.gpu.rrdb import read_rrdb

REAL_ESRGAN = "Real-ESRGAN x4plus"
SRVGG = "SRVGG (realesr-animevideov3), random weights"


def write_real_esrgan(weights: Path, folder: Path) -> Path:
    """Real-ESRGAN x4plus from its published weights.

    Args:
        weights: a safetensors file with BasicSR's names.
        folder: where the ONNX file goes.
    """
    config = CommunityConfig(architecture="ESRGAN", scale=4, size_multiple_px=1)
    return _write(CommunityModel(read_rrdb(weights), config).eval(), folder / "real-esrgan.onnx")


class _Srvgg(nn.Module):
    """Real-ESRGAN's small network, which other programs ship as the fast one."""

    def __init__(self, width: int = 64, convolutions: int = 16, scale: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(convolutions):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        layers += [nn.Conv2d(width, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)]
        self.body = nn.Sequential(*layers)
        self.enlarge = nn.Upsample(scale_factor=scale, mode="nearest")

    def forward(self, lr_nchw: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 3, 4H, 4W)."""
        result: Tensor = self.body(lr_nchw) + self.enlarge(lr_nchw)
        return result


def write_srvgg(folder: Path) -> Path:
    """SRVGG as realesr-animevideov3 has it, untrained."""
    torch.manual_seed(0)
    config = CommunityConfig(architecture="SRVGGNetCompact", scale=4, size_multiple_px=1)
    return _write(CommunityModel(_Srvgg().eval(), config).eval(), folder / "srvgg.onnx")


def _write(network: CommunityModel, path: Path) -> Path:
    # The exporter's own notes are about operators that no generator uses.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    options = ExportOptions(
        sample_type="float32",
        weights="float32",
        halo_px=default_halo_px(network),
        origin="a benchmark",
    )
    write_onnx(network, path, options)
    return path
