"""Writes the calibration report: Markdown, and a chart of the layers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from calibration.observe.ranges import Method
from calibration.prepare.source import Target
from calibration.prepare.tiles import CONTENTS, Tile
from calibration.report.chart import Bar, bar_chart
from calibration.search.best_mix import Gates, SearchResult
from calibration.search.place import Layer

BLUE, ORANGE, RED = (52, 101, 164), (229, 142, 38), (192, 57, 43)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Contents of a report."""

    model: str
    """Name of the float32 model."""

    output: str
    """Name of the INT8 file."""

    target: Target
    """Target platform of the INT8 model."""

    method: Method
    """Method of choosing activation ranges."""

    gates: Gates
    """Bounds that the model must meet."""

    tiles: tuple[Tile, ...]
    """Tiles used to observe the ranges."""

    manifest_sha256: str
    """Hash of their manifest."""

    validation: str
    """Description of the validation pictures."""

    frozen_drop_db: float | None
    """PSNR drop when excitation gates become constants; None if there are none."""

    is_frozen: bool
    """Whether the gates became constants."""

    layers: tuple[Layer, ...]
    """Layers that can be quantized."""

    pinned: tuple[str, ...]
    """Layers that the user kept in float."""

    outcome: SearchResult
    """Result of the search."""

    @property
    def passes(self) -> bool:
        """Whether a model with INT8 layers meets the bounds."""
        return bool(self.outcome.best.layers)


def rms_levels(psnr_db: float) -> float:
    """Return the RMS error, in 8-bit levels, that corresponds to a PSNR."""
    return float(255 * 10 ** (-psnr_db / 20))


def markdown(findings: Findings, chart: str) -> str:
    """Return the report.

    Args:
        findings: contents of the report.
        chart: file name of the chart.
    """
    outcome, gates = findings.outcome, findings.gates
    contents = Counter(tile.content for tile in findings.tiles)
    counts = ", ".join(f"{contents[content]} {content}" for content in CONTENTS)
    reasons = _reasons(findings)
    lines = [
        f"# INT8 calibration of {findings.model}",
        "",
        _verdict(findings),
        "",
        f"- Target: {findings.target}; observer: {findings.method}.",
        f"- Calibrated on {len(findings.tiles)} tiles ({counts}), "
        f"manifest SHA-256 `{findings.manifest_sha256}`.",
        f"- Gates measured on {findings.validation}: PSNR on Y against HR may drop by "
        f"{gates.max_drop_db:g} dB, tiled and whole output may differ by "
        f"{gates.max_seam_levels} of 255 grey levels.",
        *_excitation(findings),
        "",
        "| mix | INT8 layers | PSNR (Y) | drop | overlap | largest seam (grey levels) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rows = [("float32", outcome.reference), ("every layer in INT8", outcome.everything)]
    rows.append(("this model", outcome.best))
    for label, mix in rows if findings.passes else rows[:2]:
        drop = outcome.reference.psnr_db - mix.psnr_db
        lines.append(
            f"| {label} | {len(mix.layers)} of {len(findings.layers)} | {mix.psnr_db:.3f} dB | "
            f"{drop:+.3f} dB | {mix.halo_px} px | {mix.seam_levels:.2f} |"
        )
    lines += [
        "",
        "## Layers",
        "",
        "The cost of a layer is what quantizing it alone does to the float32 output on held-out "
        "tiles: the worst first. The heads, the gradient operator and what is left of the "
        "squeeze-and-excitation gates stay in float by design"
        + (", and so does the last convolution." if findings.target == "tensorrt" else "."),
        "",
        f"![Cost of every layer]({chart})",
        "",
        "| layer | PSNR against float32 | error (rms, grey levels) | precision |",
        "| --- | --- | --- | --- |",
    ]
    for name, psnr_db in sorted(outcome.costs_db.items(), key=lambda item: (item[1], item[0])):
        precision = reasons.get(name, "INT8")
        lines.append(f"| {name} | {psnr_db:.2f} dB | {rms_levels(psnr_db):.4f} | {precision} |")
    return "\n".join(lines) + "\n"


def chart(findings: Findings) -> bytes:
    """Draw the cost of every layer as a PNG file, in graph order."""
    reasons = _reasons(findings)
    bars = [
        Bar(
            name=layer.name,
            value=rms_levels(findings.outcome.costs_db[layer.name]),
            colour=_colour(reasons.get(layer.name)),
        )
        for layer in findings.layers
    ]
    title = (
        "Error of the output with one layer alone in INT8 (rms, grey levels of 255). "
        "Blue: INT8; orange: float for the seams; red: float for the PSNR"
    )
    return bar_chart(title, bars)


def _excitation(findings: Findings) -> list[str]:
    if findings.frozen_drop_db is None:
        return []
    cost = f"their means over the tiles cost {findings.frozen_drop_db:+.4f} dB"
    kept = "constants" if findings.is_frozen else "computed, as before"
    return [f"- Squeeze-and-excitation gates: {kept}; {cost}."]


def _reasons(findings: Findings) -> dict[str, str]:
    """Return the reason for each layer that stays in float, by name."""
    outcome = findings.outcome
    return (
        dict.fromkeys(outcome.for_seams, "float, for the seams")
        | dict.fromkeys(outcome.for_fidelity, "float, for the PSNR")
        | dict.fromkeys(findings.pinned, "float, as asked")
    )


def _colour(reason: str | None) -> tuple[int, int, int]:
    if reason is None:
        return BLUE
    return RED if "PSNR" in reason else ORANGE


def _verdict(findings: Findings) -> str:
    outcome = findings.outcome
    if findings.passes:
        return (
            f"`{findings.output}` was written: {len(outcome.best.layers)} of "
            f"{len(findings.layers)} layers are INT8, and the PSNR is {outcome.drop_db:.3f} dB "
            "below float32's."
        )
    ways = []
    if outcome.for_seams:
        ways.append(f"for the seams: {', '.join(outcome.for_seams)}")
    if outcome.for_fidelity:
        ways.append(f"for the PSNR: {', '.join(outcome.for_fidelity)}")
    return (
        "**The model was not written**: no INT8 mix passes the gates. "
        f"In the way, {'; '.join(ways)}."
    )
