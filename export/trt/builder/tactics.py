"""Disables optional tactic libraries of TensorRT 8 that are not installed.

Its wheel asks for cuDNN of any version and loads version 8 alone, so that pip may bring one that it
cannot use. From 10 on, TensorRT does without them unless told otherwise.
"""

from __future__ import annotations

import ctypes
import logging
from typing import Any

LIBRARIES = {
    "CUDNN": ("libcudnn.so.8", "cudnn64_8.dll"),
    "CUBLAS": ("libcublas.so.11", "libcublas.so.12", "cublas64_11.dll", "cublas64_12.dll"),
    "CUBLAS_LT": (
        "libcublasLt.so.11",
        "libcublasLt.so.12",
        "cublasLt64_11.dll",
        "cublasLt64_12.dll",
    ),
}
"""Tactic sources, and the library files of which TensorRT 8 needs one."""

_logger = logging.getLogger(__name__)


def disable_missing_tactics(module: Any, config: Any) -> None:
    """Disable tactic sources whose libraries cannot be loaded.

    Args:
        module: the TensorRT package, of version 8.
        config: configuration of the build.
    """
    sources = getattr(module, "TacticSource", None)
    if sources is None:
        return
    wanted = config.get_tactic_sources()
    bits = {name: 1 << int(getattr(sources, name)) for name in LIBRARIES if hasattr(sources, name)}
    missing = [name for name, bit in bits.items() if wanted & bit and not _is_there(name)]
    if not missing:
        return
    config.set_tactic_sources(wanted & ~sum(bits[name] for name in missing))
    # In 8.5 the core has a switch of its own, which is on by default from 8.6 on.
    feature = "DISABLE_EXTERNAL_TACTIC_SOURCES_FOR_CORE_0805"
    if hasattr(module.PreviewFeature, feature):
        config.set_preview_feature(getattr(module.PreviewFeature, feature), True)
    _logger.warning(
        "TensorRT builds without %s (%s cannot be loaded): pip install 'nvidia-cudnn-cu11<9' "
        "nvidia-cublas-cu11 gives it more kernels to choose from",
        " and ".join(missing),
        ", ".join(LIBRARIES[name][0] for name in missing),
    )


def _is_there(name: str) -> bool:
    for file in LIBRARIES[name]:
        try:
            ctypes.CDLL(file)
        except OSError:
            continue
        return True
    return False
