"""Systems to evaluate, by their names on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from dggn.data.bicubic import bicubic_resize
from dggn.metrics.evaluate import SuperResolve
from dggn.model.config import COMMUNITY_SUFFIXES, SCALE
from runtime.report.console import fetched_model
from runtime.system.package import require

BICUBIC = "bicubic"


def system_name(model: str) -> str:
    """Return the short name of what :func:`opened` opens, for tables.

    Every run of `dggn-train` calls its result generator.safetensors: there the folder's name
    says more.
    """
    if "://" in model:
        model = unquote(urlsplit(model).path)
    path = Path(model)
    if path.stem == "generator" and path.parent.name:
        return path.parent.name
    return path.stem if path.suffix else model


@contextmanager
def open_system(model: str) -> Iterator[SuperResolve]:
    """Open a super-resolution function for as long as the context lasts.

    Args:
        model: a shipped name, an ONNX file or the https URL of one, a checkpoint (our own or the
            community's), or the word `bicubic`.

    Raises:
        ModelError: there is no such model, or the file is damaged.
        ConfigError: the URL is none that models are fetched from.
        DownloadError: it cannot be fetched.
        MissingDependency: a library that it needs is not installed.
    """
    model = fetched_model(model)
    suffix = Path(model).suffix.lower()
    if model == BICUBIC:
        yield enlarge_bicubic
    elif suffix == ".safetensors" or suffix in COMMUNITY_SUFFIXES:
        require("torch", "safetensors", extra="train")
        import torch

        from dggn.model.community import read_module
        from dggn.model.picture import super_resolve

        module = read_module(Path(model)).to("cuda" if torch.cuda.is_available() else "cpu")
        yield lambda image_hwc: super_resolve(module, image_hwc)
    else:
        from runtime.upscaler import Upscaler

        with Upscaler(model=model) as upscaler:
            yield upscaler


def enlarge_bicubic(image_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge with the baseline of all tables: bicubic interpolation as in MATLAB."""
    return bicubic_resize(image_hwc, Fraction(SCALE))
