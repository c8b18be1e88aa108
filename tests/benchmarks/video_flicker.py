"""Measures flicker: how much a model adds to differences between frames, on a still and a slow pan.

    python tests/benchmarks/video_flicker.py examples --denoise 0 --denoise 0.5 --denoise 1

Each clip is cut from a photograph and reduced four times, gets a camera's noise and is compressed
by H.264, as real clips are. The still shows the same part in every frame. The pan moves by a
quarter of a source's pixel, one of the result's, in every frame; frames are moved back before they
are compared, so that only what does not move with the picture counts.

The difference between neighbouring frames is the mean of its absolute luma in 8-bit levels. Bicubic
enlargement shows what the source itself has of it; the photograph, moved in the same way, has none.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from runtime.model.info import DEFAULT_MODEL
from runtime.upscaler import Upscaler
from runtime.video.library import pyav

FRAMES = 10
SIZE_HW = (96, 128)
"""Number of the source's frames."""
SCALE = 4
PHOTOS = 6
"""The first ones that are large enough."""
LUMA = np.array([0.299, 0.587, 0.114])

Strong = tuple[str, float | None]
"""A model, and its strength of denoising."""
Frames = list[np.ndarray[Any, np.dtype[np.uint8]]]


def originals(photo: Image.Image, step: int) -> Frames:
    """Parts of a photograph at the size of the result, each `step` pixels further to the right."""
    height, width = SCALE * SIZE_HW[0], SCALE * SIZE_HW[1]
    left, top = (photo.width - width - FRAMES * step) // 2, (photo.height - height) // 2
    return [
        np.asarray(photo.crop((left + move, top, left + move + width, top + height)))
        for move in range(0, FRAMES * step or 1, step or 1)
    ] * (1 if step else FRAMES)


def filmed(frames: Frames, *, sigma: float, crf: int) -> Frames:
    """Degrade frames like a camera: reduce, add noise, compress."""
    av = pyav()
    generator = np.random.default_rng(0)
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": str(crf)})
        stream.height, stream.width = SIZE_HW
        for frame in frames:
            small = Image.fromarray(frame).resize(SIZE_HW[::-1], Image.Resampling.BICUBIC)
            noisy = np.asarray(small) + generator.normal(0, sigma, (*SIZE_HW, 3))
            array = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def change(frames: Frames, step: int) -> float:
    """Mean absolute difference of luma between neighbours, after moving them back by `step`."""
    luma = [frame.astype(np.float64) @ LUMA for frame in frames]
    border = 4 * SCALE  # what enters at the edges of a pan has no counterpart
    found = []
    for before, after in itertools.pairwise(luma):
        moved = after[:, : after.shape[1] - step] if step else after
        fixed = before[:, step:]
        found.append(np.abs(moved - fixed)[border:-border, border:-border].mean())
    return float(np.mean(found))


def bicubic(frame: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Enlarge a frame without a network."""
    size = (SCALE * frame.shape[1], SCALE * frame.shape[0])
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))


def rows(photos: list[Image.Image], models: list[Strong], sigma: float, crf: int) -> Iterator[str]:
    """A table in Markdown, a line at a time."""
    yield f"| noise {sigma:g}, CRF {crf} | still | pan |"
    yield "| --- | ---: | ---: |"
    clips = {
        step: [filmed(originals(photo, step), sigma=sigma, crf=crf) for photo in photos]
        for step in (0, 1)
    }

    def line(name: str, enlarge: Callable[[Any], Any]) -> str:
        means = [
            np.mean([change([enlarge(frame) for frame in clip], step) for clip in clips[step]])
            for step in (0, 1)
        ]
        return f"| {name} | {means[0]:.2f} | {means[1]:.2f} |"

    yield line("the source, bicubic", bicubic)
    for model, strength in models:
        with Upscaler(model, denoise=strength) as upscaler:
            yield line(model if strength is None else f"{model}, denoise {strength:g}", upscaler)


def main(
    folder: Path,
    model: Annotated[list[str], typer.Option()] = [],  # noqa: B006
    denoise: Annotated[list[float], typer.Option()] = [],  # noqa: B006
    sigma: Annotated[list[float], typer.Option()] = [0.0, 2.0, 5.0],  # noqa: B006
    crf: int = 23,
) -> None:
    """Print a table for each strength of noise."""
    least = (SCALE * SIZE_HW[1] + FRAMES, SCALE * SIZE_HW[0])
    opened = [Image.open(path).convert("RGB") for path in sorted(folder.glob("*.[jp][pn]g"))]
    photos = [one for one in opened if one.width >= least[0] and one.height >= least[1]][:PHOTOS]
    print(f"{len(photos)} of {len(opened)} pictures in {folder} were used\n")
    models: list[Strong] = [(name, None) for name in model]
    models += [(DEFAULT_MODEL, strength) for strength in denoise]
    for each in sigma:
        print(*rows(photos, models, each, crf), sep="\n", end="\n\n", flush=True)


if __name__ == "__main__":
    typer.run(main)
