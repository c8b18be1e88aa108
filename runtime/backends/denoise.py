"""Strengths of denoising: the model for photographs blended with its plain one."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

from runtime.errors import ConfigError, TargetError
from runtime.model.blend import blend
from runtime.model.info import INT8_SUFFIX, MODELS_FOLDER
from runtime.system.cache import FOLDER_VARIABLE, user_cache
from runtime.system.files import write_whole

PLAIN = {"dggn-lite-photo": "dggn-lite"}
"""Shipped models for photographs, and the plain ones that they can be blended with. The weights of
`dggn-photo` have 4 bits, which leave no room between two."""

STEPS = 100
"""Strengths in [0, 1] that make files of their own."""


def own_strength(path: Path) -> float | None:
    """Return the strength of a model file as it is; None if it has only this one."""
    return 1.0 if path.parent == MODELS_FOLDER and path.stem in PLAIN else None


def denoised(path: Path, strength: float) -> Path:
    """Return the model file for a strength, made on first use and kept in the user's cache.

    Args:
        path: file of the shipped model for photographs.
        strength: in [0, 1], to two decimals: 1 is the model itself, 0 the plain model, which keeps
            grain and texture.

    Raises:
        ConfigError: the strength is out of range, or the model has no plain one beside it.
        ModelError: a model file is damaged.
        TargetError: the cache cannot be written.
    """
    if not (math.isfinite(strength) and 0 <= strength <= 1):
        raise ConfigError(f"denoise is {strength}: expected 0 (keep grain) to 1 (cleanest)")
    if path.parent == MODELS_FOLDER and INT8_SUFFIX in path.stem:
        raise ConfigError(
            f"{path.stem} is in INT8, whose weights cannot be blended: leave --denoise or INT8 out"
        )
    if own_strength(path) is None:
        raise ConfigError(
            f"{path.stem} cannot be blended: --denoise is for {', '.join(PLAIN)}, leave it out"
        )
    plain = path.with_name(f"{PLAIN[path.stem]}.onnx")
    hundredths = round(strength * STEPS)
    if hundredths == STEPS:
        return path
    one, other = path.read_bytes(), plain.read_bytes()
    made = hashlib.sha256(one + other).hexdigest()[:12]
    target = user_cache() / "denoise" / made / f"{path.stem}-denoise-{hundredths / STEPS:.2f}.onnx"
    if not target.is_file():
        content = blend(one, other, hundredths / STEPS, where=f"{path} and {plain}")
        try:
            write_whole(target, content)
        except TargetError as error:
            raise TargetError(
                f"{error}: make room, or name another folder in the environment variable "
                f"{FOLDER_VARIABLE}"
            ) from error
    return target
