"""A comparison page: two models' results of every picture in a folder, with a slider."""

from __future__ import annotations

import html
import io
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dggn.data.folder import picture_paths, read_rgb
from dggn.metrics.evaluate import SuperResolve
from dggn.metrics.systems import open_system, system_name
from dggn.model.config import SCALE
from runtime.errors import ConfigError, ModelError, TargetError
from runtime.report.detail import Detail
from runtime.report.page import SUFFIXES, page_parts, slider
from runtime.system.files import NotReplaced, replacing
from runtime.system.terminal import printable

PART_LR_PX = (256, 192)
"""Maximum longer and shorter side of the part shown; its result fits on a screen at 100 %."""

STYLE = """
/* Results in their own pixels, one below the other; nothing here needs attention. */
main { grid-template-columns: minmax(0, 1fr); justify-items: center; }
article { content-visibility: visible; max-width: 100%; }
/* Before a picture is decoded it has no width of its own, and the page would jump. */
.pair { width: var(--natural); max-width: 100%; }
form label { display: none; }
"""


def write_page(path: Path, folder: Path, models: tuple[str, str]) -> int:
    """Super-resolve every picture of a folder with two models and write the page.

    Of a large picture the part with the most detail is taken.

    Args:
        path: file of the page, replaced when the page is complete.
        folder: folder of LR pictures, searched recursively.
        models: left and right model, as for `opened`.

    Returns:
        The number of pictures.

    Raises:
        ConfigError: the page's name does not end in .html, or the folder has no picture.
        ModelError: a model is unusable.
        ImageReadError: a picture cannot be decoded.
        TargetError: the page cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        # Never a photograph that someone named by mistake.
        raise ConfigError(f"--output is {path}: expected a file name ending in .html")
    paths = picture_paths(folder)
    labels = system_name(models[0]), system_name(models[1])
    heading = f"{labels[0]} and {labels[1]}: {len(paths)} pictures"
    facts = {"title": heading, "heading": heading}
    facts = {name: _text(text) for name, text in facts.items()}
    facts |= {"facts": f"<p>{_text(str(folder))}</p>", "attention": "0", "style": STYLE}
    head, foot = page_parts(facts)
    with ExitStack() as stack:
        left, right = (stack.enter_context(open_system(model)) for model in models)
        try:
            with replacing(path) as page:
                page.write(_bytes(head))
                for one in paths:
                    name = one.relative_to(folder).as_posix()
                    page.write(_bytes(_article(name, read_rgb(one), (left, right), labels)))
                page.write(_bytes(foot))
        except (OSError, NotReplaced) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise TargetError(f"cannot write the page {path}: {reason or error}") from error
    return len(paths)


def most_detailed_part(image_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the most detailed part, at most `PART_LR_PX`; (H, W, 3), uint8 RGB."""
    height, width = image_hwc.shape[:2]
    most = PART_LR_PX if height > width else PART_LR_PX[::-1]
    part_hw = min(height, most[0]), min(width, most[1])
    detail = Detail((height, width), part_hw)
    detail.add(image_hwc)
    top, left = detail.top_left()
    return np.ascontiguousarray(image_hwc[top : top + part_hw[0], left : left + part_hw[1]])


def _article(
    name: str,
    image_hwc: NDArray[np.uint8],
    systems: tuple[SuperResolve, SuperResolve],
    labels: tuple[str, str],
) -> str:
    lr = most_detailed_part(image_hwc)
    height, width = lr.shape[:2]
    size_hw = height * SCALE, width * SCALE
    jpegs = [_jpeg(label, run(lr), size_hw) for run, label in zip(systems, labels, strict=True)]
    facts = f"{width:,} x {height:,} → {size_hw[1]:,} x {size_hw[0]:,}"
    if lr.shape != image_hwc.shape:
        facts += f", a part of {image_hwc.shape[1]:,} x {image_hwc.shape[0]:,}"
    pair = slider(name, jpegs[0], jpegs[1], size_hw, labels=labels)
    return f"<article><h2>{_text(name)}</h2>{pair}<p>{_text(facts)}</p></article>\n"


def _jpeg(label: str, sr: NDArray[np.uint8], size_hw: tuple[int, int]) -> bytes:
    if sr.shape[:2] != size_hw:
        raise ModelError(f"{label} does not enlarge x{SCALE}: only such models can be compared")
    with io.BytesIO() as file:
        # High quality: the models' flaws should be seen, not those of JPEG.
        Image.fromarray(sr).save(file, "JPEG", quality=95, subsampling="4:4:4")
        return file.getvalue()


def _text(text: str) -> str:
    return html.escape(printable(text))


def _bytes(text: str) -> bytes:
    # Names of files may hold bytes that are no text.
    return text.encode("utf-8", errors="backslashreplace")
