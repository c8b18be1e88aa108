"""Facts about a model, read from the metadata of its file.

An exported ONNX file carries these facts as metadata properties, so that every backend cuts
and pads pictures alike and no model needs a file beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast

from runtime.errors import ConfigError, ModelError

PREFIX = "dggn."
"""Prefix of our metadata keys, which keeps other tools' properties apart."""

MODELS_FOLDER = Path(__file__).parents[1] / "models"
DEFAULT_MODEL = "dggn-lite-photo"
"""Default model, for photographs from cameras, programs and the web."""

GPU_DEFAULT_MODEL = "dggn-photo"
"""Default model on NVIDIA GPUs: better and ten times the work, which takes too long on CPUs."""

INT8_SUFFIX = "-int8"
"""File name suffix of a shipped model's INT8 version."""

TENSORRT_SUFFIX = "-tensorrt"
"""Further suffix of the INT8 version for TensorRT, if one is shipped."""

SampleType = Literal["float32", "uint8"]
Precision = Literal["float32", "int8"]
WantedPrecision = Literal["float32", "bfloat16", "int8"]
"""Requested precision; model files are float32 or int8."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Facts about an exported model.

    Raises:
        ModelError: a value is out of range.
    """

    preset: str
    """Name of the generator's structure, or `custom`."""

    scale: int
    """HR pixels per LR pixel, along each axis."""

    sample_type: SampleType
    """Sample type: `float32` is NCHW in [0, 1], `uint8` is NHWC in [0, 255]; both RGB."""

    size_multiple_px: int
    """Divisor of the height, width and origin of everything fed to the network."""

    halo_px: int
    """Context in LR pixels per side with which tiles agree with the whole picture."""

    origin: str
    """Human-readable origin of the weights."""

    precision: Precision = "float32"
    """Precision of most of the computation."""

    def __post_init__(self) -> None:
        if not 1 <= self.scale <= 16:
            raise ModelError(f"scale is {self.scale}: expected 1 to 16")
        if self.sample_type not in ("float32", "uint8"):
            raise ModelError(f"sample_type is {self.sample_type!r}: expected float32 or uint8")
        if self.precision not in ("float32", "int8"):
            raise ModelError(f"precision is {self.precision!r}: expected float32 or int8")
        if not 1 <= self.size_multiple_px <= 256:
            raise ModelError(f"size_multiple_px is {self.size_multiple_px}: expected 1 to 256")
        if not 0 <= self.halo_px <= 512 or self.halo_px % self.size_multiple_px:
            raise ModelError(
                f"halo_px is {self.halo_px}: expected a multiple of size_multiple_px "
                f"({self.size_multiple_px}) up to 512"
            )

    def to_metadata(self) -> dict[str, str]:
        """Return the facts as metadata properties."""
        return {PREFIX + name: str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_metadata(cls, properties: Mapping[str, str], *, where: str) -> ModelInfo:
        """Read the facts from metadata properties.

        Args:
            properties: the model's metadata properties.
            where: the model's name or path, for error messages.

        Raises:
            ModelError: a property is missing or invalid.
        """

        def text(name: str) -> str:
            try:
                return properties[PREFIX + name]
            except KeyError:
                raise ModelError(
                    f"{where} was not written by dggn-export: its metadata lacks {PREFIX}{name}. "
                    "Export it again with `dggn-export onnx`"
                ) from None

        def number(name: str) -> int:
            value = text(name)
            if not value.isascii() or not value.isdigit() or len(value) > 6:
                raise ModelError(f"{where}: {PREFIX}{name} is {value[:40]!r}: expected a number")
            return int(value)

        try:
            return cls(
                preset=text("preset"),
                scale=number("scale"),
                sample_type=cast(SampleType, text("sample_type")),
                size_multiple_px=number("size_multiple_px"),
                halo_px=number("halo_px"),
                origin=text("origin"),
                # Files from before there was a choice do not say.
                precision=cast(Precision, properties.get(f"{PREFIX}precision", "float32")),
            )
        except ModelError as error:
            if str(error).startswith(where):
                raise
            raise ModelError(f"{where}: {error}") from error


def shipped_models() -> dict[str, Path]:
    """Return the models in the package by name; INT8 versions share the name."""
    paths = sorted(MODELS_FOLDER.glob("*.onnx"))
    return {path.stem: path for path in paths if INT8_SUFFIX not in path.stem}


def _shipped_int8_versions() -> set[str]:
    return {path.stem for path in MODELS_FOLDER.glob(f"*{INT8_SUFFIX}*.onnx")}


def model_path(name_or_file: str, precision: WantedPrecision | None = None) -> Path:
    """Return the ONNX file for a shipped name or a path.

    Args:
        name_or_file: a shipped name, of an INT8 version (`dggn-lite-int8`) too, or a path.
        precision: int8 for that version of a shipped model; the others are ways to compute
            the float32 one. A file has the precision that it has.

    Raises:
        ModelError: there is neither such a name nor such a file, or no such version of it.
        ConfigError: INT8 is asked for where the model is a file, or another precision where it
            is in INT8.
    """
    shipped = shipped_models()
    if name_or_file in shipped:
        path = shipped[name_or_file]
        if precision == "int8":
            path = path.with_name(f"{path.stem}{INT8_SUFFIX}.onnx")
            if not path.is_file():
                raise ModelError(
                    f"no INT8 version of {name_or_file} is shipped: make one with dggn-calibrate "
                    "and name its file"
                )
        return path
    if name_or_file in _shipped_int8_versions():
        if precision not in (None, "int8"):
            raise ConfigError(
                f"{name_or_file} is INT8, and {precision} was requested: leave one of them out"
            )
        return MODELS_FOLDER / f"{name_or_file}.onnx"
    path = Path(name_or_file)
    try:
        is_file = path.is_file()
    except OSError as error:  # out of reach, or a name that is too long
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    if not is_file:
        raise ModelError(
            f"{name_or_file} is neither a file nor a shipped model ({', '.join(shipped)})"
        )
    if precision == "int8":
        raise ConfigError(
            f"{name_or_file} is a file, whose precision is fixed: INT8 can be chosen for shipped "
            f"models only ({', '.join(shipped)}); dggn-calibrate makes INT8 versions of others"
        )
    return path


def gpu_default(precision: WantedPrecision | None, denoise: float | None = None) -> str:
    """Return the name of the default model on NVIDIA GPUs.

    INT8 and strengths of denoising choose the CPUs' default, since the large model has neither.

    Args:
        precision: the requested one.
        denoise: the requested strength.
    """
    return GPU_DEFAULT_MODEL if precision != "int8" and denoise is None else DEFAULT_MODEL


def model_name(path: Path) -> str:
    """Return a model's display name: the file's stem, or the shipped name."""
    shipped = path.parent == MODELS_FOLDER  # INT8 versions share the name
    return path.stem.partition(INT8_SUFFIX)[0] if shipped else path.stem


def tensorrt_model_path(path: Path) -> Path:
    """Return the file that a model's engines are built from.

    It is another one for shipped INT8 models: TensorRT takes signed values around zero only, and
    processors are quicker with others.
    """
    other = path.with_name(f"{path.stem}{TENSORRT_SUFFIX}.onnx")
    return other if path.parent == MODELS_FOLDER and other.is_file() else path


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
