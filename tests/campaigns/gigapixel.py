"""Make one result of a gigapixel in strips, and say how much memory and time that took.

    python tests/campaigns/gigapixel.py FOLDER [--size 8192x7680] [--bits 16] [--format tiff]

Draws a source in FOLDER, enlarges it with `--memory 1.5` in another process, and compares parts
of the result with what the same model makes of the same parts alone. The network is a bilinear
filter as an ONNX model, which takes next to no time; `--model dggn-lite` takes a real one. Needs
onnx, pyvips and some gigabytes of disk in FOLDER.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pyvips
from onnx import TensorProto, helper, numpy_helper

from runtime.model.info import ModelInfo
from runtime.upscaler import Upscaler

APP = "from runtime.cli import app; app(prog_name='dggn-run')"
PART_PX = 280
MARGIN_PX = 64
"""More than any model's tiles overlap by."""


def draw(path: Path, width: int, height: int, bits: int) -> None:
    """Coloured clouds with noise, which compress like a photograph."""
    noise = pyvips.Image.gaussnoise(width, height, mean=0, sigma=6)
    clouds = pyvips.Image.perlin(width, height, cell_size=128) * 90 + 128
    bands = [clouds + noise, clouds * 0.7 + noise + 20, 220 - clouds * 0.6 + noise]
    colours = bands[0].bandjoin(bands[1:])
    kind = "uchar" if bits == 8 else "ushort"
    picture = (colours * (1 if bits == 8 else 257)).cast(kind)
    picture.copy(interpretation="srgb" if bits == 8 else "rgb16").write_to_file(str(path))


def save_bilinear(path: Path) -> None:
    """Four times larger: each of 16 results is a mean of the pixel and its neighbours."""
    shifts = (np.arange(4) + 0.5) / 4 - 0.5
    near = np.maximum(0, 1 - np.abs(np.arange(-1, 2)[None] - shifts[:, None]))
    weights = np.zeros((3, 4, 4, 3, 3, 3), np.float32)
    for channel in range(3):
        weights[channel, :, :, channel] = near[:, None, :, None] * near[None, :, None, :]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "weights"], ["places"], pads=[1, 1, 1, 1]),
            helper.make_node("DepthToSpace", ["places"], ["result"], blocksize=4, mode="CRD"),
        ],
        "bilinear",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, ["n", 3, "H", "W"])],
        [numpy_helper.from_array(weights.reshape(48, 3, 3, 3), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    info = ModelInfo(
        preset="bilinear",
        scale=4,
        sample_type="float32",
        size_multiple_px=1,
        halo_px=2,
        origin="a bilinear filter",
    )
    helper.set_model_props(model, info.to_metadata())
    onnx.save(model, path)


def parts_differ(source: Path, result: Path, model: str) -> int:
    """Return how many of nine parts differ from the model's output for them alone."""
    small = pyvips.Image.new_from_file(str(source))
    large = pyvips.Image.new_from_file(str(result))
    count = 0
    with Upscaler(model) as upscaler:
        for share_y in (0.0, 0.46, 1.0):
            for share_x in (0.0, 0.52, 1.0):
                # On the pooling grid, where a part is computed as in the whole picture.
                left = int((small.width - PART_PX) * share_x) // 8 * 8
                top = int((small.height - PART_PX) * share_y) // 8 * 8
                part = small.crop(left, top, PART_PX, PART_PX).numpy()
                found = large.crop(4 * left, 4 * top, 4 * PART_PX, 4 * PART_PX).numpy()
                inner = slice(4 * MARGIN_PX, -4 * MARGIN_PX)
                expected = upscaler(part)[inner, inner]
                count += int(np.abs(found[inner, inner].astype(int) - expected).max() > 1)
    return count


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", default="8192x7680")
    parser.add_argument("--bits", type=int, choices=(8, 16), default=16)
    parser.add_argument("--format", choices=("png", "tiff", "jpg"), default="tiff")
    parser.add_argument("--model")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    source = options.folder / f"source-{width}x{height}-{options.bits}.tiff"
    result = options.folder / f"result.{options.format}"
    model = options.model or str(options.folder / "bilinear.onnx")
    if not options.model:
        save_bilinear(Path(model))
    draw(source, width, height, options.bits)
    began = time.monotonic()
    command = [sys.executable, "-c", APP, source, result, "--model", model]
    subprocess.run([*command, "--memory", "1.5", "--overwrite"], check=True)
    seconds = time.monotonic() - began
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(
        f"{width}x{height} -> {4 * width}x{4 * height}, {options.bits} bits, "
        f"{result.stat().st_size / 1e9:.2f} GB of {options.format} "
        f"(begins {result.open('rb').read(4)!r}): {seconds:.0f} s, "
        f"peak {peak_kib * 1024 / 1e6:.0f} MB resident; "
        f"{parts_differ(source, result, model)} of 9 parts differ"
    )


if __name__ == "__main__":
    main()
