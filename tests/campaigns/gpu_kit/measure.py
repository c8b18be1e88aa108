"""Measurements of both kits over the real slots: correctness, speed, and a whole command."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from runtime.backends.cuda.device import Device
from runtime.backends.trt.slots import Execution
from runtime.image.picture import Samples
from runtime.tiles.backend import Backend


def psnr_db(found: Samples, expected: Samples) -> float:
    """PSNR of bytes; 200 where they are equal."""
    error = float(np.mean((found.astype(np.float64) - expected) ** 2))
    return 200.0 if error == 0 else 10 * math.log10(255**2 / error)


def compare(backend: Backend, tiles_nhwc: Samples, expected_nhwc: Samples) -> dict[str, float]:
    """Run tiles, and compare with the float32 model's results."""
    results = np.empty_like(expected_nhwc)
    for tile, result in zip(tiles_nhwc, results, strict=True):
        backend.submit(tile, partial(np.copyto, result))
    backend.finish()
    difference = np.abs(results.astype(int) - expected_nhwc)
    return {
        "psnr_db": round(psnr_db(results, expected_nhwc), 2),
        "within_one_level": round(float((difference <= 1).mean()), 6),
        "largest_difference": int(difference.max()),
    }


def with_copies(backend: Backend, tiles_nhwc: Samples, seconds: float) -> float:
    """Output megapixels a second from and to page-locked memory, through the slots."""
    scale = backend.info.scale

    def submit(count: int) -> None:
        for _ in range(count):
            for tile in tiles_nhwc:
                backend.submit(tile, lambda result: None)
        backend.finish()

    submit(4)  # shapes are new, graphs are recorded
    megapixels = len(tiles_nhwc) * math.prod(tiles_nhwc.shape[1:3]) * scale**2 / 1e6
    return megapixels * per_second(submit, seconds)


def engine_only(
    device: Device,
    executions: Callable[[int], Execution],
    tiles_nhwc: Samples,
    scale: int,
    *,
    slots: int,
    graphs: bool,
    seconds: float,
) -> float:
    """Output megapixels a second of real tiles that stay on the device.

    Args:
        device: where; it stays open.
        executions: makes the library's part of a slot.
        tiles_nhwc: a batch of bytes.
        scale: of the model.
        slots: streams at once.
        graphs: whether to record the work.
        seconds: to measure.
    """
    lanes = []
    with device.active():
        for number in range(slots):
            stream = device.new_stream()
            pinned = device.new_pinned(tiles_nhwc.nbytes)
            memories = [
                device.new_memory(tiles_nhwc.nbytes),
                device.new_memory(tiles_nhwc.nbytes * scale**2),
            ]
            pinned.array[:] = tiles_nhwc.reshape(-1)
            stream.copy_in(memories[0], pinned, tiles_nhwc.nbytes)
            execution = executions(number)
            execution.bind(stream, *(memory.address for memory in memories))
            execution.reshape(tiles_nhwc.shape[:3])
            for _ in range(3):
                execution.enqueue()
            stream.wait()
            graph = stream.capture(execution.enqueue) if graphs else None
            lanes.append((stream, execution, graph, pinned, memories))

        def run(count: int) -> None:
            for _ in range(count):
                for stream, execution, graph, *_ in lanes:
                    execution.enqueue() if graph is None else stream.launch(graph)
            for stream, *_ in lanes:
                stream.wait()

        rate = per_second(run, seconds)
        for stream, execution, graph, pinned, memories in lanes:
            if graph is not None:
                graph.free()
            execution.free()
            pinned.free()
            for memory in memories:
                memory.free()
            stream.free()
    megapixels = len(tiles_nhwc) * math.prod(tiles_nhwc.shape[1:3]) * scale**2 / 1e6
    return slots * megapixels * rate


def per_second(run: Callable[[int], None], seconds: float) -> float:
    """How often something happens in a second; rounds grow until one takes the time.

    Args:
        run: does it so many times, and waits for it.
        seconds: least length of the round that counts.
    """
    count = 1
    while True:
        begun = time.perf_counter()
        run(count)
        took = time.perf_counter() - begun
        if took >= seconds:
            return count / took
        count = max(count + 1, min(10 * count, math.ceil(1.2 * count * seconds / max(took, 1e-6))))


def whole_command(
    open_backend: Callable[[], Backend], model: Path, photographs: Path, target: Path, kind: str
) -> dict[str, float]:
    """`dggn-run` over a folder in this process, over a backend.

    Args:
        open_backend: opens it, as a part of the command.
        model: its ONNX file.
        photographs: folder.
        target: folder of the results.
        kind: their format.

    Returns:
        Megapixels delivered and computed a second.
    """
    from runtime import upscaler
    from runtime.cli import app

    computed = 0

    def opened(*_: Any) -> tuple[Backend, str]:
        nonlocal computed
        backend = open_backend()
        submit = backend.submit

        def counted(tile_hwc: Samples, deliver: Any) -> None:
            nonlocal computed
            computed += math.prod(tile_hwc.shape[:2]) * backend.info.scale**2
            submit(tile_hwc, deliver)

        backend.submit = counted  # type: ignore[method-assign]
        return backend, "it is measured"

    begun = time.perf_counter()
    with mock.patch.object(upscaler, "open_backend", opened):
        # With a model named, for the default is chosen by what the machine has.
        arguments = [str(photographs), str(target), "--model", str(model)]
        arguments += ["--format", kind, "--quiet", "--overwrite"]
        code = app(arguments, standalone_mode=False)
    if code:
        raise RuntimeError(f"dggn-run ended with {code}")
    took = time.perf_counter() - begun
    if not computed:
        raise RuntimeError("dggn-run did not use the backend that is measured")
    delivered = sum(_megapixels(path) for path in target.iterdir() if path.suffix[1:] == kind)
    return {
        "delivered_mp_per_s": round(delivered / took, 2),
        "computed_mp_per_s": round(computed / 1e6 / took, 2),
        "seconds": round(took, 3),
    }


def _megapixels(path: Path) -> float:
    from PIL import Image

    with Image.open(path) as image:
        return math.prod(image.size) / 1e6
