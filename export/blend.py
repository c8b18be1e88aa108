"""Interpolation between two generators of the same structure.

Their weights are interpolated (Wang et al., ESRGAN, 2018, Section 3.4):

    blended = share * first + (1 - share) * second

which is between the two in its pictures as well, where one was trained from the other.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from dggn.model.generator import Generator
from dggn.settings import to_mapping
from export.write import read_generator, with_colours_kept
from runtime.errors import ConfigError, ModelError


def read_blend(
    first: str, second: str, share: str, *, keep_colours: bool = False
) -> tuple[Generator, str]:
    """Read two models and interpolate their weights.

    Args:
        first: a shipped name, an ONNX file or a checkpoint.
        second: another of the same structure.
        share: weight of the first, from 0 to 1, as text.
        keep_colours: whether both, and so the blend, are to keep local mean colours.

    Returns:
        The blended generator, in evaluation mode on the CPU, and its human-readable origin.

    Raises:
        ConfigError: the share is not a number from 0 to 1.
        ModelError: a model is missing or damaged, or the two differ in structure.
        MissingDependency: a checkpoint is of another architecture, and spandrel is missing.
    """
    part = _share(share)
    one, other = _read(first), _read(second)
    if keep_colours:
        one, other = with_colours_kept(one, first), with_colours_kept(other, second)
    if one.config != other.config:
        mine, theirs = to_mapping(one.config), to_mapping(other.config)
        differing = [
            f"{name} is {mine[name]} and {theirs[name]}"
            for name in mine
            if mine[name] != theirs[name]
        ]
        remedy = "blend two checkpoints of the same preset and branches"
        if replace(one.config, keeps_colours=other.config.keeps_colours) == other.config:
            remedy = "--keep-colours makes both of one kind"
        raise ModelError(
            f"{first} and {second} have different structures ({', '.join(differing)}): {remedy}"
        )
    others = dict(other.named_parameters())
    with torch.no_grad():
        for name, parameter in one.named_parameters():
            parameter.lerp_(others[name], 1 - part)
    return one, f"{part:g} of {Path(first).name} and {1 - part:g} of {Path(second).name}"


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(f"--blend A B {text}: expected the share of A, a number from 0 to 1")
    return share


def _read(source: str) -> Generator:
    model = read_generator(source)
    if not isinstance(model, Generator):
        raise ModelError(
            f"{source} is of another architecture ({model.config.architecture}): only DGGN's own "
            "models can be blended"
        )
    return model
