"""The models and pictures to measure, prepared beforehand on any machine.

Writing them takes PyTorch, onnx and ONNX Runtime; measuring takes what each backend needs.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import dggn
from dggn.model.community import CommunityConfig, CommunityModel
from dggn.model.config import GeneratorConfig, preset
from dggn.model.generator import Generator
from dggn.model.onnx_costs import onnx_costs
from export.graph import default_halo_px
from export.write import ExportOptions, write_onnx
from runtime.backends.onnxruntime import OrtBackend
from runtime.model.info import SampleType
from runtime.system.files import write_whole
from runtime.tiles.plan import TilePlan, default_tile_px
from tests.benchmarks.gpu.plan import (
    FACTS_NAME,
    FLAGSHIP,
    PHOTOGRAPHS,
    SCALE,
    YARDSTICK,
    Plan,
)
from tests.benchmarks.gpu.rrdb import RrdbNet
from tests.support.untrained import untrained

EXAMPLES = Path(__file__).parents[3] / "examples"

TINY = GeneratorConfig(width=8, image_units=2, gradient_units=1, tail_width=4, se_reduction=2)


def prepare(plan: Plan, model: str | None) -> None:
    """Fill the folder of a measurement plan.

    Args:
        plan: of the measurement.
        model: a shipped name or ONNX file to measure; None for the untrained flagship.
    """
    # The exporter's own notes are about operators that no generator uses.
    for library in ("torch.onnx", "onnxscript"):
        logging.getLogger(library).setLevel(logging.ERROR)
    plan.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    if model is not None:
        generator = dggn.load(model)
    else:
        generator = untrained(TINY if plan.dry_run else preset("dggn"))
    rrdb = RrdbNet(8, 1, 4) if plan.dry_run else RrdbNet()
    config = CommunityConfig(architecture="ESRGAN", scale=SCALE, size_multiple_px=1)
    yardstick = CommunityModel(rrdb, config).eval()
    operations = {
        name: _write(network, name, plan)
        for name, network in ((FLAGSHIP, generator), (YARDSTICK, yardstick))
    }
    _make_tiles(plan)
    _make_reference(plan)
    delivered, computed = _make_photographs(plan, default_halo_px(generator))
    facts = {
        "model": model or "untrained weights of the flagship's structure",
        "trained": model is not None,
        "operations": operations,
        "megapixels": delivered,
        "computed_megapixels": computed,
    }
    write_whole(plan.work / FACTS_NAME, json.dumps(facts, indent=1).encode())


def _write(network: Generator | CommunityModel, name: str, plan: Plan) -> int:
    """Write a model in all its forms; return the operations (multiply and add) per tile."""
    kinds: tuple[tuple[str, SampleType], ...] = (("", "float32"), ("-bytes", "uint8"))
    for suffix, kind in kinds:
        options = ExportOptions(
            sample_type=kind,
            weights="float32",
            halo_px=default_halo_px(network),
            origin="a benchmark",
        )
        write_onnx(network, plan.work / f"{name}{suffix}.onnx", options)
    bare = network if isinstance(network, Generator) else network.network
    torch.save(bare, plan.work / f"{name}.pt")
    return onnx_costs(plan.work / f"{name}.onnx", plan.tile_px, plan.tile_px)[1]


def _make_reference(plan: Plan) -> None:
    """Compute the float32 model's results on the CPU: (N, 4H, 4W, 3), uint8."""
    results: list[NDArray[np.uint8]] = []
    with OrtBackend(plan.work / f"{FLAGSHIP}.onnx") as backend:
        for tile in np.load(plan.work / "tiles.npy"):
            backend.submit(tile, lambda result: results.append(result.astype(np.uint8)))
        backend.finish()
    np.save(plan.work / "reference.npy", np.stack(results))


def _make_tiles(plan: Plan) -> None:
    """Write a batch of tiles, cut from photographs: (N, H, W, 3), uint8."""
    pictures = [_photograph(path, 2 * plan.tile_px) for path in sorted(EXAMPLES.glob("*.[jp]*g"))]
    side = plan.tile_px
    tiles = [pictures[number % len(pictures)][:side, :side] for number in range(plan.batch)]
    np.save(plan.work / "tiles.npy", np.stack(tiles))


def _make_photographs(plan: Plan, halo_px: int) -> tuple[float, float]:
    """Write photographs as JPEG files; return the output megapixels of these and of their tiles."""
    folder = plan.work / PHOTOGRAPHS
    folder.mkdir(exist_ok=True)
    pictures = [_photograph(path, plan.photograph_px) for path in sorted(EXAMPLES.glob("*.[jp]*g"))]
    pixels, computed = 0, 0.0
    for number in range(plan.photographs):
        picture = pictures[number % len(pictures)][: 3 * plan.photograph_px // 4]
        Image.fromarray(picture).save(folder / f"{number:03}.jpg", quality=95)
        own = picture.shape[0] * picture.shape[1]
        tiles = TilePlan.of(
            picture.shape[:2],
            tile_size=default_tile_px(halo_px),
            overlap=halo_px,
            multiple=8,
            uniform=not plan.dry_run,
        )
        pixels += own
        computed += own * tiles.waste
    return SCALE**2 * pixels / 1e6, SCALE**2 * computed / 1e6


def _photograph(path: Path, least_px: int) -> NDArray[np.uint8]:
    """A square picture with sides of this length."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    side = min(image.size)
    square = image.crop((0, 0, side, side)).resize((least_px, least_px), Image.Resampling.BICUBIC)
    return np.asarray(square)
