"""Costs of models, beside the paper's published figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dggn.metrics.systems import system_name
from dggn.model.config import COMMUNITY_SUFFIXES, PRESETS
from runtime.errors import ConfigError, ModelError
from runtime.system.package import require


@dataclass(frozen=True, kw_only=True)
class Costs:
    """One model's costs."""

    name: str
    """Name for tables."""

    parameters_m: float
    """Millions of parameters."""

    gflops: float
    """Billions of operations, two per multiply-accumulate."""

    receptive_field_px: int | None = None
    """Receptive field of the convolutions in LR pixels along an axis; None if unknown."""

    receptive_field_se_px: int | None = None
    """Receptive field including SE windows."""

    published: bool = False
    """Whether the figures are the paper's rather than measured here."""


TABLE_4 = tuple(
    Costs(name=name, parameters_m=parameters_m, gflops=gflops, published=True)
    for name, parameters_m, gflops in (
        ("SFTGAN", 1.8, 0.8),
        ("NatSR", 5.0, 12.5),
        ("ESRGAN", 16.7, 89.7),
        ("SRGAN", 0.7, 7.0),
        ("SPSR", 24.8, 265.1),
        ("DGGN", 14.6, 23.7),
    )
)
"""The paper's Table 4."""

TABLE_4_SIZE_HW = (50, 50)
"""Input size for the paper's Table 4, which does not state it; this one reproduces its figures for
ESRGAN and SPSR.
"""


def parse_size(text: str) -> tuple[int, int]:
    """Parse height and width from `50x50`.

    Raises:
        ConfigError: it is malformed.
    """
    height, _, width = text.lower().partition("x")
    if not all(
        side.isascii() and side.isdigit() and 0 < int(side) < 2**16 for side in (height, width)
    ):
        raise ConfigError(f"--size is {text!r}: expected HEIGHTxWIDTH, for example 50x50")
    return int(height), int(width)


def costs_of(models: Sequence[str], size_hw: tuple[int, int]) -> list[Costs]:
    """Compute the costs of models.

    Args:
        models: presets, shipped names, ONNX files or checkpoints; none for all presets.
        size_hw: size of the LR picture.

    Raises:
        ModelError: there is no such model, or it cannot be counted.
        MissingDependency: torch or onnx is not installed.
    """
    require("torch", "safetensors", extra="train")
    return [_costs(model, size_hw) for model in models or PRESETS]


def costs_report(costs: Sequence[Costs], size_hw: tuple[int, int], form: str) -> str:
    """Format our measurements and the paper's table as text, `markdown` or `json`."""
    rows = [*costs, *TABLE_4]
    if form == "json":
        report = {"size_hw": size_hw, "models": [asdict(row) for row in rows]}
        return json.dumps(report, indent=2) + "\n"
    title = f"GFLOPs at {size_hw[0]}x{size_hw[1]}"
    header = ("model", "parameters (M)", title, "receptive field (LR px)", "with SE", "source")
    cells = [header, *(_cells(row, size_hw) for row in rows)]
    if form == "markdown":
        rule = ("---", "---:", "---:", "---:", "---:", "---")
        lines = [f"| {' | '.join(row)} |" for row in (header, rule, *cells[1:])]
    else:
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if 0 < place < 5 else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
    return "".join(f"{line}\n" for line in lines)


def _cells(row: Costs, size_hw: tuple[int, int]) -> tuple[str, ...]:
    def pixels(value: int | None) -> str:
        return "-" if value is None else str(value)

    return (
        row.name,
        f"{row.parameters_m:.1f}" if row.published else f"{row.parameters_m:.2f}",
        _gflops(row, size_hw),
        pixels(row.receptive_field_px),
        pixels(row.receptive_field_se_px),
        "published (Table 4)" if row.published else "measured",
    )


def _gflops(row: Costs, size_hw: tuple[int, int]) -> str:
    if not row.published:
        return f"{row.gflops:.2f}"
    return f"{row.gflops:.1f}" if size_hw == TABLE_4_SIZE_HW else "-"


def _costs(model: str, size_hw: tuple[int, int]) -> Costs:
    from dggn.model.community import CommunityModel, read_module
    from dggn.model.complexity import flops, parameter_count, receptive_field_px
    from dggn.model.config import preset
    from dggn.model.generator import Generator
    from dggn.model.onnx_costs import onnx_costs
    from dggn.model.shipped import load
    from runtime.model.info import model_path
    from runtime.report.console import fetched_model

    name = system_name(model)
    model = model if model in PRESETS else fetched_model(model)
    suffix = Path(model).suffix.lower()
    if model in PRESETS:
        module: Generator | CommunityModel = Generator(preset(model))
    elif suffix == ".safetensors" or suffix in COMMUNITY_SUFFIXES:
        module = read_module(Path(model))
    else:
        try:
            path = model_path(model)
        except ModelError as error:
            raise ModelError(f"{error}, nor a preset ({', '.join(PRESETS)})") from error
        try:
            module = load(model)
        except ModelError:
            # Of another program: its graph is all there is.
            parameters, operations = onnx_costs(path, *size_hw)
            return Costs(name=name, parameters_m=parameters / 1e6, gflops=operations / 1e9)
    fields: list[int | None] = [None, None]
    if isinstance(module, Generator):
        fields = [
            receptive_field_px(module.config, squeeze_excitation=squeeze_excitation)
            for squeeze_excitation in (False, True)
        ]
    return Costs(
        name=name,
        parameters_m=parameter_count(module) / 1e6,
        gflops=flops(module, *size_hw) / 1e9,
        receptive_field_px=fields[0],
        receptive_field_se_px=fields[1],
    )
