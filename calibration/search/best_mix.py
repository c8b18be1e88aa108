"""Searches for the mix with the most INT8 work that passes the gates.

First every layer alone is quantized, and its cost measured: the PSNR against the float32 output
on held-out tiles. Then all are quantized at once, and layers return to float until both gates
hold:

1. Seams. Between a tile and the whole picture a float network differs by next to nothing, but
   where a value lies at a rounding boundary, that little becomes a whole INT8 step, and every
   later INT8 layer makes more of it. After a few layers the difference is as large as the error
   of quantization itself. So tiles overlap by as much as a pixel depends on, and compute what
   the whole picture does. Where that is too much, the layers return that add the most error for
   each multiplication that INT8 makes quicker, as few as the bound allows, found by bisection.
2. Fidelity. Of the rest, the layer with the highest cost returns, one after the other, until
   the mean PSNR on Y against the HR pictures has dropped by no more than allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibration.search.mix import Mix, Mixer
from calibration.search.place import Layer
from runtime.system.terminal import OnProgress


@dataclass(frozen=True, kw_only=True)
class Halos:
    """Candidate overlaps, in LR pixels at each side of a tile."""

    least_px: int
    """Overlap that the float32 model was measured to need."""

    exact_px: int | None
    """Overlap with which tiles exactly match the whole picture; None if too large."""


@dataclass(frozen=True, kw_only=True)
class Gates:
    """Bounds that a quantized model must meet."""

    max_drop_db: float
    """Maximum drop of the mean PSNR against HR (dB, Y channel)."""

    max_seam_levels: int
    """Maximum tiled/untiled difference, in 8-bit levels."""


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Result of a search."""

    reference: Mix
    """The float32 model."""

    everything: Mix
    """All layers in INT8."""

    best: Mix
    """Best mix that passes the gates; one without INT8 layers if none does."""

    costs_db: dict[str, float]
    """PSNR against the float32 output with only one layer in INT8, by layer."""

    for_seams: tuple[str, ...]
    """Layers returned to float to meet the seam bound."""

    for_fidelity: tuple[str, ...]
    """Layers returned to float to meet the PSNR bound, in that order."""

    @property
    def drop_db(self) -> float:
        """PSNR drop from the float32 model to the best mix."""
        return self.reference.psnr_db - self.best.psnr_db


def search(
    mixer: Mixer,
    layers: Sequence[Layer],
    macs: Mapping[str, int],
    gates: Gates,
    halos: Halos,
    on_progress: OnProgress,
) -> SearchResult:
    """Measure every layer, and find the best mix.

    Args:
        mixer: builds and measures.
        layers: candidates for INT8, in the graph's order.
        macs: multiply-accumulates of each layer, by name.
        gates: bounds to meet.
        halos: the overlaps to choose from.
        on_progress: receives each step and its progress.

    Raises:
        BackendError: ONNX Runtime failed on a mix.
        TargetError: the ledger cannot be written.
    """
    costs = {}
    for number, layer in enumerate(layers, start=1):
        costs[layer.name] = mixer.cost_db(layer)
        on_progress("quantizing one layer at a time", number / len(layers))
    reference = mixer.measure((), halos.least_px)
    everything = mixer.measure(layers, halos.least_px)
    best = everything
    if best.seam_levels > gates.max_seam_levels and halos.exact_px is not None:
        best = mixer.measure(layers, halos.exact_px)
    if best.seam_levels > gates.max_seam_levels:
        by_worth = sorted(layers, key=lambda each: _error(costs[each.name]) / macs[each.name])
        best = _hold_seams(mixer, by_worth, everything, reference, gates, on_progress)
    for_seams = _names_left_out(layers, best)
    for_fidelity: list[str] = []
    while best.layers and reference.psnr_db - best.psnr_db > gates.max_drop_db:
        worst = min(best.layers, key=lambda layer: costs[layer.name])
        for_fidelity.append(worst.name)
        left = [layer for layer in best.layers if layer is not worst]
        best = mixer.measure(left, best.halo_px)
        on_progress("leaving the worst layers in float", len(for_fidelity) / len(layers))
    return SearchResult(
        reference=reference,
        everything=everything,
        best=best,
        costs_db=costs,
        for_seams=for_seams,
        for_fidelity=tuple(for_fidelity),
    )


def _error(cost_db: float) -> float:
    """Return the mean squared error that corresponds to a PSNR."""
    return float(10 ** (-cost_db / 10))


def _hold_seams(
    mixer: Mixer,
    by_worth: Sequence[Layer],
    everything: Mix,
    reference: Mix,
    gates: Gates,
    on_progress: OnProgress,
) -> Mix:
    """Keep as many of the first layers as the seam bound allows, if not all."""
    best, holds, fails = reference, 0, len(by_worth)
    most_steps = fails.bit_length()
    step = 0
    while fails - holds > 1:
        middle = (holds + fails) // 2
        chosen = set(by_worth[:middle])
        some = [layer for layer in everything.layers if layer in chosen]
        mix = mixer.measure(some, everything.halo_px)
        if mix.seam_levels <= gates.max_seam_levels:
            best, holds = mix, middle
        else:
            fails = middle
        step += 1
        on_progress("keeping seams invisible", min(1.0, step / most_steps))
    return best


def _names_left_out(layers: Sequence[Layer], mix: Mix) -> tuple[str, ...]:
    kept = {layer.name for layer in mix.layers}
    return tuple(layer.name for layer in layers if layer.name not in kept)
