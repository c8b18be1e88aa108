"""Facts about an engine, and the check whether it may be loaded here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import get_args

from runtime.backends.gpu import Gpu
from runtime.backends.trt.request import EnginePrecision, EngineRequest
from runtime.errors import ModelError
from runtime.model.info import ModelInfo

MAX_PLAN_BYTES = 2**32
"""Upper limit on plan sizes, far above any engine: the flagship's weights take 60 MB."""

_MAX_TEXT = 500
_HEX_DIGITS = 64


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Result of comparing an engine with its reference model."""

    psnr_db: float
    """PSNR over all tiles; see `runtime.backends.trt.verify`."""

    within_one_level: float
    """Fraction of samples that differ by at most one 8-bit level."""

    largest_difference: float
    """Maximum sample difference, in 8-bit levels."""

    samples: int
    """Number of samples compared."""

    def __post_init__(self) -> None:
        for name in ("psnr_db", "within_one_level", "largest_difference"):
            if not 0 <= getattr(self, name) <= 1000:
                raise ModelError(f"{name} is {getattr(self, name)}: expected 0 to 1000")
        _within("samples", self.samples, 1, 2**40)


@dataclass(frozen=True, kw_only=True)
class EngineFacts:
    """Contents of an engine's sidecar.

    Raises:
        ModelError: a value is out of range.
    """

    onnx_sha256: str
    """Hash of the model file that the engine was built from."""

    onnx_name: str
    """Name of the model file, for messages."""

    plan_sha256: str
    """Hash of the plan beside the sidecar."""

    plan_bytes: int
    """Size of the plan."""

    request: EngineRequest
    """The engine that was wanted."""

    precision: EnginePrecision
    """Actual precision: safer than requested if verification failed."""

    tile_px: int
    """Maximum tile height and width: less than requested if memory ran out."""

    batch: int
    """Maximum batch: less than requested if memory ran out."""

    library_version: str
    """Version of TensorRT, the only one that can load the engine."""

    gpu_name: str
    """GPU that the engine was built on; empty for an RTX engine built without one."""

    cuda_version: str
    """Newest CUDA of the driver at build time; empty without a GPU."""

    least_px: int
    """Minimum tile height and width."""

    profiles: int
    """Identical optimization profiles. With one, any number of contexts share it; otherwise each
    context needs its own (8.x).
    """

    info: ModelInfo
    """Facts of the model; the sample type is the engine's."""

    largest_activation: float | None
    """Largest value inside the float32 model on the verification picture; None if not measured."""

    verification: Verification | None
    """None: not verified, because there was no GPU."""

    def __post_init__(self) -> None:
        _hash("onnx_sha256", self.onnx_sha256)
        _hash("plan_sha256", self.plan_sha256)
        _within("plan_bytes", self.plan_bytes, 1, MAX_PLAN_BYTES)
        _one_of("precision", self.precision, get_args(EnginePrecision))
        for name in ("onnx_name", "library_version", "gpu_name", "cuda_version"):
            if len(getattr(self, name)) > _MAX_TEXT:
                raise ModelError(f"{name} is longer than {_MAX_TEXT} characters")
        _within("tile_px", self.tile_px, 1, self.request.tile_px)
        _within("batch", self.batch, 1, self.request.batch)
        _within("least_px", self.least_px, 1, self.tile_px)
        _within("profiles", self.profiles, 1, 64)
        if self.info.sample_type != self.request.sample_type:
            raise ModelError("the model's sample type is not the engine's")

    @property
    def status(self) -> str:
        """Human-readable verification status, in one line."""
        if self.verification is None:
            return "unverified: there was no GPU to run it on; its first use will verify it"
        found = self.verification
        return (
            f"verified: {found.psnr_db:.1f} dB against float32, "
            f"{100 * found.within_one_level:.2f} % within one grey level"
        )


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """The model, library and GPU that an engine must match."""

    onnx_sha256: str
    """Hash of the model file."""

    library_version: str
    """Version of TensorRT."""

    gpu: Gpu | None
    """The GPU; None to check only that the file is current, on a machine without one."""


def reason_not_to_load(
    facts: EngineFacts, request: EngineRequest, here: Circumstances
) -> str | None:
    """Explain why an engine must not be loaded here; None if it may be.

    Args:
        facts: facts from its sidecar.
        request: what is requested now.
        here: the machine to run on.
    """
    if facts.onnx_sha256 != here.onnx_sha256:
        return f"it was built from another version of the model ({facts.onnx_name})"
    wanted, found = asdict(request), asdict(facts.request)
    for name in wanted:
        if name != "targets" and wanted[name] != found[name]:
            return f"it was built for {name} {found[name]}, not {wanted[name]}"
    if missing := [target for target in request.targets if target not in facts.request.targets]:
        return f"it was built for {_text(facts.request.targets)}, not for {_text(missing)}"
    if facts.library_version != here.library_version:
        return (
            f"it was built with {facts.request.flavor} {facts.library_version}, "
            f"and {here.library_version} is installed"
        )
    if here.gpu is None:
        return None
    if here.gpu.sm not in facts.request.targets:
        return f"it was built for {_text(facts.request.targets)}, and this GPU is {here.gpu.sm}"
    if facts.request.flavor == "tensorrt" and facts.gpu_name != here.gpu.name:
        return f"it was built on {facts.gpu_name or 'another GPU'}, and this is {here.gpu.name}"
    return None


def with_verification(facts: EngineFacts, verification: Verification) -> EngineFacts:
    """Return facts with a verification added."""
    return replace(facts, verification=verification)


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ModelError(f"{name} is {value}: expected {low} to {high}")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ModelError(f"{name} is {str(value)[:40]!r}: expected one of {', '.join(known)}")


def _hash(name: str, value: str) -> None:
    if len(value) != _HEX_DIGITS or set(value) - set("0123456789abcdef"):
        raise ModelError(f"{name} is {value[:80]!r}: expected a SHA-256 in hexadecimal")


def _text(targets: Iterable[str]) -> str:
    return ", ".join(targets)
