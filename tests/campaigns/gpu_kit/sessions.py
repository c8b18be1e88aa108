"""ONNX Runtime on CUDA over the real slots: layouts, and searches for convolutions."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tests.campaigns.gpu_kit.cargo import UNPACKER, archived, compress
from tests.campaigns.gpu_kit.places import open_device, tiles_of
from tests.campaigns.gpu_kit.stages import Stages
from tests.campaigns.gpu_kit.wheels import download

PACKAGE = "onnxruntime-gpu==1.31.1"
"""Built for CUDA 13, as the PyTorch there, whose libraries it uses."""

MODEL = "dggn-lite-photo"
TILE_PX, BATCH = 256, 4
REHEARSED_PX = 48
LARGE_BYTES = 10_000_000


def cargo(folder: Path, python: str, *, rehearse: bool) -> list[tuple[str, Path]]:
    """Make what this step needs.

    Args:
        folder: to fill.
        python: version there.
        rehearse: whether to make it small, without the package.

    Returns:
        Names in the archive, and files.
    """
    from export.half_file import half_file
    from runtime.backends.onnxruntime import OrtBackend
    from runtime.model.info import model_path

    folder.mkdir()
    tiles = tiles_of(REHEARSED_PX if rehearse else TILE_PX, 2 if rehearse else BATCH)
    np.save(folder / "tiles.npy", tiles)
    with OrtBackend(model_path(MODEL), where="cpu") as backend:
        expected = np.concatenate([backend.run(tile[None]) for tile in tiles])
    np.save(folder / "expected.npy", expected)
    shutil.copy(half_file(model_path(MODEL)), folder / "half.onnx")
    names = ["tiles.npy", "expected.npy", "half.onnx"]
    if not rehearse:
        download([PACKAGE], python, folder / "package", alone=True)
        libraries = folder / "libraries"
        libraries.mkdir()
        for path in (folder / "package" / "onnxruntime" / "capi").glob("*.so*"):
            if path.stat().st_size > LARGE_BYTES:
                path = path.rename(libraries / path.name)
                compress(path)
        download([UNPACKER], python, folder / "unpacker", alone=True)
        names += [archived(folder / "package").name, "libraries", "unpacker"]
    return [(f"sessions/{name}", folder / name) for name in names]


def measure(stages: Stages, work: Path, *, rehearse: bool) -> None:
    """Run each setting of the provider.

    Args:
        stages: where they become stages.
        work: the unpacked cargo.
        rehearse: whether on the CPU, where settings mean nothing.
    """
    stages.run("onnxruntime", partial(_start, work, rehearse))
    if "onnxruntime" in stages.found["problems"]:
        return
    searches = ("HEURISTIC",) if rehearse else ("HEURISTIC", "EXHAUSTIVE")
    for search, layout in product(searches, ("0", "1")):
        settings = {"cudnn_conv_algo_search": search, "prefer_nhwc": layout}
        name = f"{search.lower()}, {'NHWC' if layout == '1' else 'NCHW'}"
        stages.run(name, partial(_one, work, settings, rehearse))


def _start(work: Path, rehearse: bool, out: dict[str, Any]) -> None:
    """Import the package that came along."""
    import torch  # before it: PyTorch loads CUDA's libraries, which ONNX Runtime would not find

    package = work / "package"
    if not rehearse:
        for path in (work / "libraries").iterdir():
            path.rename(package / "onnxruntime" / "capi" / path.name)
        sys.path.insert(0, str(package))
    import onnxruntime

    out |= {"version": onnxruntime.__version__, "file": onnxruntime.__file__}
    out["cuda"] = torch.version.cuda
    out["providers"] = onnxruntime.get_available_providers()


def _one(work: Path, settings: dict[str, str], rehearse: bool, out: dict[str, Any]) -> None:
    from dataclasses import replace

    from runtime.backends import ort_session
    from runtime.backends.in_slots import SLOTS, SlotModel, SlotsBackend
    from runtime.backends.onnxruntime import OrtBackend
    from runtime.backends.ort_slots import SessionExecution
    from runtime.model.info import model_path
    from tests.campaigns.gpu_kit.measure import compare, engine_only, with_copies

    tiles, expected = (np.load(work / f"{name}.npy") for name in ("tiles", "expected"))
    with OrtBackend(model_path(MODEL), threads=1, where="cpu") as plain:
        info = replace(plain.info, sample_type="uint8")
    model = SlotModel(
        path=work / "half.onnx",
        info=info,
        precision="float16",
        tile_px=tiles.shape[1],
        batch=len(tiles),
    )
    index = None if rehearse else 0
    executions: Callable[[int], SessionExecution] = lambda number: SessionExecution(  # noqa: E731
        model, index, settings
    )
    seconds = 0.01 if rehearse else 2.0
    device = open_device(rehearse=rehearse)
    # The package for CPUs is installed there, too, and lies behind on the path.
    with mock.patch.object(ort_session, "DISTRIBUTIONS", ("onnxruntime-gpu",)):
        with SlotsBackend(
            model, executions, device, description="ONNX Runtime", say=print
        ) as backend:
            out |= compare(backend, tiles, expected)
            out["with_copies_mp_per_s"] = with_copies(backend, tiles, seconds)
        device = open_device(rehearse=rehearse)
        out["engine_only_mp_per_s"] = engine_only(
            device, executions, tiles, info.scale, slots=SLOTS, graphs=False, seconds=seconds
        )
        device.close()
