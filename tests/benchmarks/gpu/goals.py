"""The goals of the TensorRT runtime, and their evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks.gpu.measure import COPIES, ENGINE, Found
from tests.benchmarks.gpu.plan import FLAGSHIP, YARDSTICK, Plan

TRT = "tensorrt"

LEAST_OF_MATRIX_RATE = 0.47
"""Share of the matrix units' rate. A roofline of the engine's kernels allows 0.73 on an H100 (docs/
tensorrt.md); real kernels reach seven tenths of the one bound and eight and a half of the other."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A required ratio."""

    text: str
    """The compared quantity."""

    least: float
    """The ratio."""

    found: float | None
    """The measured value; None where a part is missing."""

    @property
    def verdict(self) -> str:
        """For people."""
        if self.found is None:
            return "not measured"
        return "met" if self.found >= self.least else "missed"


def goals(found: Found, plan: Plan) -> list[Goal]:
    """All goals, evaluated."""
    engine = found.median(FLAGSHIP, TRT, ENGINE)
    copies = found.median(FLAGSHIP, TRT, COPIES)
    compiled = found.median(FLAGSHIP, "torch.compile", ENGINE)
    yardstick = found.median(YARDSTICK, TRT, ENGINE)
    # Tiles overlap: to deliver a pixel, the command computes more than one.
    facts = plan.facts()
    share = facts["computed_megapixels"] / facts["megapixels"]
    commands = [found.median(FLAGSHIP, TRT, kind) for kind in ("png", "jpg")]
    matrix = found.rates.get("matrix product")
    whole = [
        Goal(
            text=f"whole command, {kind}, to engine with copies, in computed pixels",
            least=0.9,
            found=_ratio(None if rate is None else share * rate, copies),
        )
        for kind, rate in zip(("PNG", "JPEG"), commands, strict=True)
    ]
    return [
        Goal(
            text="engine to the card's matrix rate",
            least=LEAST_OF_MATRIX_RATE,
            found=_ratio(operations_per_s(engine, FLAGSHIP, plan), matrix),
        ),
        Goal(text="TensorRT to torch.compile", least=1.3, found=_ratio(engine, compiled)),
        Goal(text="engine with copies to engine only", least=0.97, found=_ratio(copies, engine)),
        *whole,
        Goal(text="DGGN to ESRGAN's structure", least=3.8, found=_ratio(engine, yardstick)),
    ]


def operations_per_s(megapixels: float | None, model: str, plan: Plan) -> float | None:
    """Operations per second at a rate of output megapixels."""
    if megapixels is None:
        return None
    operations: int = plan.facts()["operations"][model]
    return megapixels / plan.batch_megapixels * plan.batch * operations


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other
