"""Measures models on realistic photographs: reduced by software, noisy, saved as JPEG.

Every photograph is cut to a middle size and lives through a history that depends on its number
and a seed alone. It is made anew whenever it is looked at, so that a large set needs no memory.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dggn.data.folder import by_stem, picture_paths, read_rgb
from dggn.data.history import History, Noise, Save, apply_history
from dggn.data.pairs import Pair
from dggn.data.prepared import HR_FOLDER, LR_FOLDER
from dggn.metrics.evaluate import Metric, PictureScores, measure, super_resolve_and_measure
from dggn.metrics.report import BenchmarkResult
from dggn.metrics.systems import BICUBIC, open_system, system_name
from dggn.model.config import SCALE
from dggn.settings import to_mapping
from runtime.errors import ConfigError
from runtime.system.files import write_whole
from runtime.system.path_text import path_text

MOST_HR_PX = (1024, 768)
"""Longer and shorter side of an HR picture, whose LR picture has 256x192."""

ORIGINALS = "originals"
"""Name under which the HR pictures themselves are measured."""

HISTORIES_NAME = "histories.json"


@dataclass(frozen=True, kw_only=True)
class RealisticPicture:
    """A photograph with a realistic LR picture."""

    path: Path
    """File of the photograph."""

    stem: str
    """Path below the folder, without the suffix."""

    pair: Pair
    """LR picture and the matching HR picture."""

    history: History
    """History that led to the LR picture."""


class RealisticSet:
    """The photographs of a folder with their LR pictures, reproducible.

    Args:
        folder: folder of photographs.
        seed: seed of all histories.

    Raises:
        ConfigError: the folder is missing or empty, or two pictures differ in the suffix only.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._paths = by_stem(folder, picture_paths(folder))
        self._seed = seed

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[RealisticPicture]:
        """Yield the pictures one by one.

        Raises:
            ConfigError: a picture is too small to reduce.
            ImageReadError: a picture cannot be decoded.
        """
        for number, (stem, path) in enumerate(self._paths.items()):
            hr = middle_sized(read_rgb(path))
            if 0 in hr.shape:
                raise ConfigError(f"{path} is too small to reduce: remove it")
            history = draw_measured_history(number, self._seed)
            pair = Pair(name=path.name, lr_hwc=apply_history(hr, history), hr_hwc=hr)
            yield RealisticPicture(path=path, stem=stem, pair=pair, history=history)


def draw_measured_history(number: int, seed: int) -> History:
    """Return the history of a set's picture.

    The four filters take turns, the bilinear one after a blur; every other four pictures have
    noise of 0 to 8 levels. All are saved once, with a quality of 60 to 90.

    Args:
        number: index of the picture, from 0.
        seed: seed of the set.
    """
    random = np.random.default_rng((seed, number))
    name = ("lanczos", "box", "bilinear", "bicubic")[number % 4]
    levels = float(random.uniform(0, 8)) if number // 4 % 2 else 0.0
    return History(
        seed=int(random.integers(1 << 32)),
        blur_px=float(random.uniform(1, 2)) if name == "bilinear" else 0.0,
        filter=name,
        noise_after=Noise(luma=levels, chroma=levels / 2),
        saves=(Save(quality=int(random.integers(60, 91)), subsampled=bool(random.integers(2))),),
    )


def middle_sized(image_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reduce a picture until it just covers `MOST_HR_PX`, and crop the centre.

    Args:
        image_hwc: (H, W, 3), uint8 RGB; smaller ones are only cut.

    Returns:
        (H, W, 3), multiples of the scale.
    """
    height, width = image_hwc.shape[:2]
    most = MOST_HR_PX if width >= height else MOST_HR_PX[::-1]
    factor = max(most[0] / width, most[1] / height)
    if factor < 1:
        size = max(most[0], round(width * factor)), max(most[1], round(height * factor))
        reduced = Image.fromarray(image_hwc).resize(size, Image.Resampling.LANCZOS)
        image_hwc = np.asarray(reduced, np.uint8)
        width, height = size
    cut_width, cut_height = (
        min(most_px, length) // SCALE * SCALE
        for most_px, length in zip(most, (width, height), strict=True)
    )
    top, left = (height - cut_height) // 2, (width - cut_width) // 2
    return np.ascontiguousarray(image_hwc[top : top + cut_height, left : left + cut_width])


def measure_realistic(
    pictures: RealisticSet,
    models: Sequence[str],
    metrics: Mapping[str, Metric],
    *,
    benchmark: str,
    output: Path | None = None,
) -> Iterator[tuple[str, BenchmarkResult]]:
    """Measure bicubic interpolation, models and the originals on a set.

    Args:
        pictures: the set.
        models: names as for `opened`; bicubic is added first if missing.
        metrics: metrics by name.
        benchmark: the set's name.
        output: a new or empty folder that keeps `HR/`, `LR_x4/`, a folder for each model, and
            the histories; None to keep nothing.

    Yields:
        A system's name and scores, as soon as all its pictures are measured.

    Raises:
        ConfigError: two models share a name, the folder has other contents, or a picture cannot
            be measured.
        ModelError: a model is unusable.
        ImageReadError: a picture cannot be decoded.
        TargetError: a file cannot be written.
    """
    systems = _named([*([] if BICUBIC in models else [BICUBIC]), *models])
    if output is not None and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output} contains other files: choose a new or empty folder")
    with ExitStack() as stack:
        # All at first: a mistake in the last name should not come out after an hour.
        opened_systems = {
            name: stack.enter_context(open_system(model)) for name, model in systems.items()
        }
        originals = [
            measure(one.path, one.pair.hr_hwc, one.pair.hr_hwc, metrics) for one in pictures
        ]
        if output is not None:
            _keep(output, pictures)
        for name, super_resolve in opened_systems.items():
            scores: list[PictureScores] = []
            for one in pictures:
                sr, measured = super_resolve_and_measure(super_resolve, one.pair, one.path, metrics)
                scores.append(measured)
                if output is not None:
                    _write_png(output / name / f"{one.stem}.png", sr)
            yield name, BenchmarkResult(benchmark=benchmark, pictures=tuple(scores))
    yield ORIGINALS, BenchmarkResult(benchmark=benchmark, pictures=tuple(originals))


def _named(models: Sequence[str]) -> dict[str, str]:
    systems: dict[str, str] = {}
    taken = (HR_FOLDER, LR_FOLDER, ORIGINALS)
    for model in models:
        name = system_name(model)
        if name in systems or name in taken:
            other = systems.get(name, "something else here")
            raise ConfigError(f"{model} and {other} are both called {name}: rename one of them")
        systems[name] = model
    return systems


def _keep(output: Path, pictures: RealisticSet) -> None:
    histories = {}
    for one in pictures:
        _write_png(output / HR_FOLDER / f"{one.stem}.png", one.pair.hr_hwc)
        _write_png(output / LR_FOLDER / f"{one.stem}.png", one.pair.lr_hwc)
        histories[path_text(one.stem)] = to_mapping(one.history)
    write_whole(output / HISTORIES_NAME, json.dumps(histories, indent=2).encode() + b"\n")


def _write_png(path: Path, image_hwc: NDArray[np.uint8]) -> None:
    with io.BytesIO() as file:
        Image.fromarray(image_hwc).save(file, "PNG")
        write_whole(path, file.getvalue())
