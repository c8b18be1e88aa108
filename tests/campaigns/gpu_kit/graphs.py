"""The second kit's graphs for TensorRT 8.5, and what the float32 models make of tiles."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np

from export.trt.passes.assemble import tensorrt_graph
from export.trt.passes.islands import float32_layers
from export.trt.passes.source import read_source
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.trt.library import capabilities_of
from runtime.model.info import model_path
from tests.campaigns.gpu_kit.places import tiles_of
from tests.support.tensorrt_ages import fake_tensorrt

LITE, FLAGSHIP = "dggn-lite-photo", "dggn"
BATCH = 4
NAMES = {"lite": 128, "flagship": 256, "esrgan": 128}
"""Models in the order in which they are measured, and the sides of their tiles in px."""


def make_graphs(folder: Path, *, rehearse: bool) -> None:
    """Write for each model NAME: `NAME.onnx`, opset 17, bytes in and out, mixed precision;
    `NAME.json`, its facts; `NAME-tiles.npy` and `NAME-expected.npy`.

    Args:
        folder: to fill.
        rehearse: whether to make all of them small.
    """
    folder.mkdir(parents=True)
    capabilities = capabilities_of(fake_tensorrt("8.5"))
    for name, tile_px in NAMES.items():
        path = folder / f"{name}-float32.onnx"
        if name == "lite" or (name == "flagship" and not rehearse):
            path = model_path(LITE if name == "lite" else FLAGSHIP)
        else:
            _untrained(name, path, rehearse=rehearse)
        source = read_source(path)
        graph = tensorrt_graph(
            source, precision="fp16", sample_type="uint8", capabilities=capabilities
        )
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())
        side = 48 if rehearse else tile_px
        tiles = tiles_of(side, 2 if rehearse else BATCH)
        with OrtBackend(path, where="cpu") as backend:
            expected = np.concatenate([backend.run(tile[None]) for tile in tiles])
        np.save(folder / f"{name}-tiles.npy", tiles)
        np.save(folder / f"{name}-expected.npy", expected)
        facts = {
            "info": asdict(source.info),
            "tile_px": side,
            "batch": len(tiles),
            "float32_layers": sorted(float32_layers(graph)),
            "trained": path.parent != folder,
        }
        (folder / f"{name}.json").write_text(json.dumps(facts))
        if path.parent == folder:
            path.unlink()


def _untrained(name: str, path: Path, *, rehearse: bool) -> None:
    """Write a structure's ONNX file with random weights."""
    import torch

    from dggn.model.community import CommunityConfig, CommunityModel
    from dggn.model.generator import Generator
    from export.graph import default_halo_px
    from export.write import ExportOptions, write_onnx
    from tests.benchmarks.gpu.models import TINY
    from tests.benchmarks.gpu.rrdb import RrdbNet
    from tests.support.untrained import untrained

    # The exporter's own notes are about operators that no generator uses.
    for library in ("torch.onnx", "onnxscript"):
        logging.getLogger(library).setLevel(logging.ERROR)
    torch.manual_seed(0)
    network: Generator | CommunityModel
    if name == "flagship":
        network = untrained(TINY)
    else:
        rrdb = RrdbNet(8, 1, 4) if rehearse else RrdbNet()
        config = CommunityConfig(architecture="ESRGAN", scale=4, size_multiple_px=1)
        network = CommunityModel(rrdb, config).eval()
    with torch.no_grad():
        for weight in network.parameters():
            # Of few levels, as no trained ones are: they compress to a fourth.
            step = weight.abs().max().clamp(min=1e-6) / 8
            weight.copy_((weight / step).round() * step)
    options = ExportOptions(
        sample_type="float32",
        weights="float32",
        halo_px=default_halo_px(network),
        origin="random weights",
    )
    write_onnx(network, path, options)
