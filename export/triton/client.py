"""Upscales a picture on a Triton server, tile by tile.

It needs nothing but this file and tritonclient:

    pip install 'tritonclient[grpc]' pillow
    python client.py PICTURE RESULT.png --model NAME --url HOST:8001

Transparency is not kept, and colours have 8 bits.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

AT_ONCE = 16
"""Tiles under way: enough for the server to make batches of."""

ATTEMPTS = 8
"""Attempts to send a tile to a server whose queue is full."""

TIMEOUT_S = 120

Tile = tuple[slice, slice]
"""Rows and columns."""


class Model:
    """A model on a server.

    Args:
        url: HOST:PORT of its gRPC service.
        name: the model's name.
    """

    def __init__(self, url: str, name: str) -> None:
        from tritonclient import grpc

        self._grpc = grpc
        self._server = grpc.InferenceServerClient(url)
        config = self._server.get_model_config(name, as_json=True)["config"]
        facts = {
            key.removeprefix("dggn."): int(value["string_value"])
            for key, value in config["parameters"].items()
            if key.startswith("dggn.")
        }
        self._name = name
        self._input, self._output = config["input"][0]["name"], config["output"][0]["name"]
        self.tile_px, self.overlap_px = facts["tile_px"], facts["overlap_px"]
        self.multiple_px, self.scale = facts["multiple_px"], facts["scale"]

    def upscale(self, rgb_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale a picture of shape (H, W, 3) to (scale * H, scale * W, 3)."""
        height, width = rgb_hwc.shape[:2]
        result = np.empty((height * self.scale, width * self.scale, 3), np.uint8)
        spans = [
            axis_spans(size, self.tile_px, self.overlap_px, self.multiple_px)
            for size in (height, width)
        ]

        def work(rows: tuple[int, ...], columns: tuple[int, ...]) -> None:
            (top, bottom, first_row, last_row), (left, right, first, last) = rows, columns
            large = self._infer(rgb_hwc[top:bottom, left:right])
            scale = self.scale
            result[first_row * scale : last_row * scale, first * scale : last * scale] = large[
                (first_row - top) * scale : (last_row - top) * scale,
                (first - left) * scale : (last - left) * scale,
            ]

        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = [
                pool.submit(work, rows, columns) for rows in spans[0] for columns in spans[1]
            ]
            for one in waiting:
                one.result()
        return result

    def _infer(self, tile_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
        tensor = self._grpc.InferInput(self._input, [1, *tile_hwc.shape], "UINT8")
        tensor.set_data_from_numpy(np.ascontiguousarray(tile_hwc[None]))
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._server.infer(self._name, [tensor], client_timeout=TIMEOUT_S)
            except self._grpc.InferenceServerException as error:
                if "UNAVAILABLE" not in str(error.status()) or attempt == ATTEMPTS:
                    raise
                time.sleep(0.1 * 2**attempt)
            else:
                result: NDArray[np.uint8] = answer.as_numpy(self._output)[0]
                return result
        raise AssertionError


def axis_spans(
    size: int, tile: int, overlap: int, multiple: int
) -> list[tuple[int, int, int, int]]:
    """Divide an axis: where tiles begin and end, and where what is kept of each does.

    Args:
        size: length of the axis.
        tile: longest tile.
        overlap: context at each inner side.
        multiple: divides where tiles begin.
    """
    starts = [0]
    while starts[-1] + tile < size:
        last = -(-(size - tile) // multiple) * multiple
        starts.append(min(starts[-1] + tile - 2 * overlap, last))
    cuts = [0, *(start + tile - overlap for start in starts[:-1]), size]
    return [
        (start, min(start + tile, size), keep, until)
        for start, keep, until in zip(starts, cuts[:-1], cuts[1:], strict=True)
    ]


def main(arguments: Any = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture")
    parser.add_argument("result")
    parser.add_argument("--url", default="localhost:8001", help="HOST:PORT of the gRPC service")
    parser.add_argument("--model", required=True, help="a model of the server")
    options = parser.parse_args(arguments)
    from tritonclient.utils import InferenceServerException

    try:
        with Image.open(options.picture) as image:
            rgb_hwc = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
            profile = image.info.get("icc_profile")
        large = Model(options.url, options.model).upscale(rgb_hwc)
        Image.fromarray(large).save(options.result, icc_profile=profile)
    except InferenceServerException as error:
        sys.exit(f"{options.url}: {error}")
    except (OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
