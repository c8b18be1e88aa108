"""Opens OpenVINO backends in the fastest precision that reproduces the model's pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from runtime.backends.openvino.backend import Compiled, OpenVinoBackend
from runtime.backends.openvino.library import OpenVinoDevice, load_openvino, require_device
from runtime.backends.openvino.model import Computed, OpenVinoModel
from runtime.backends.openvino.trust import Subject, trust_problem
from runtime.errors import BackendError, ConfigError, ImageError
from runtime.model.info import ModelInfo, WantedPrecision, file_sha256
from runtime.system.cache import user_cache
from runtime.system.cores import usable_cores
from runtime.tiles.backend import Backend

_QUICK: dict[str, Computed] = {"BF16": "bfloat16"}
_QUICK_ELSEWHERE: dict[str, Computed] = {"FP16": "float16"}
"""Faster alternatives to float32 by required capability: on CPUs, and elsewhere."""


def open_openvino(
    onnx: Path,
    *,
    device: str = "CPU",
    precision: WantedPrecision | None = None,
    int8: bool = True,
    threads: int | None = None,
    say: Callable[[str], None],
    open_reference: Callable[[], Backend],
) -> OpenVinoBackend:
    """Open a backend for 8-bit pictures, which handles 16-bit ones from the first on.

    Args:
        onnx: the model.
        device: OpenVINO's device name.
        precision: requested one; None for the fastest that reproduces the model's pictures, in
            which case 16-bit pictures use float32.
        int8: whether to accept INT8 models.
        threads: CPU threads; by default one per core that this process may use.
        say: receives one-line status messages.
        open_reference: opens the same model on ONNX Runtime's CPU, for verification.

    Raises:
        MissingDependency: OpenVINO, or ONNX Runtime to verify it with, is not installed.
        ModelError: the file is damaged, or enlarges no pictures.
        ConfigError: the model has another precision.
        BackendError: it cannot be compiled for the device, or computes something else there.
    """
    opening = _Opening(onnx, require_device(device), threads, say, open_reference)
    if opening.info.precision == "int8" and precision is None and not int8:
        raise BackendError("INT8 models are faster with ONNX Runtime")
    return opening.open(precision)


class _Opening:
    def __init__(
        self,
        onnx: Path,
        device: OpenVinoDevice,
        threads: int | None,
        say: Callable[[str], None],
        open_reference: Callable[[], Backend],
    ) -> None:
        self._folder = user_cache() / "openvino"
        self._device = device
        self._threads = threads or usable_cores()
        self._say = say
        self._open_reference = open_reference
        self._model = OpenVinoModel(
            onnx, device=device, threads=self._threads, cache=_writable(self._folder / "compiled")
        )
        self.info = self._model.info
        self._onnx_sha256 = file_sha256(onnx)

    def open(self, precision: WantedPrecision | None) -> OpenVinoBackend:
        of_bytes = self._first_trusted(
            candidate_precisions(self.info, precision, self._device), np.uint8
        )
        deep: Computed = "float32" if precision is None else of_bytes.computed
        if self.info.precision == "int8":
            deep = "int8"
        return self._backend(of_bytes, lambda: self._first_trusted([deep], np.uint16))

    def _first_trusted(self, computed: list[Computed], dtype: DTypeLike) -> Compiled:
        """Return the first trusted candidate; the error says why the last one was refused."""
        *others, last = computed
        for one in others:
            try:
                return self._trusted(one, dtype)
            except BackendError as error:
                self._say(f"{one} is not used: {error}")
        return self._trusted(last, dtype)

    def _trusted(self, computed: Computed, dtype: DTypeLike) -> Compiled:
        compiled = Compiled(model=self._model.compile(dtype, computed), computed=computed)
        subject = Subject(
            onnx_sha256=self._onnx_sha256,
            openvino=load_openvino().__version__,
            device=self._device,
            computed=computed,
            samples=np.dtype(dtype).name,
        )
        try:
            with self._backend(compiled, lambda: compiled) as candidate:
                problem = trust_problem(
                    subject,
                    self.info,
                    candidate,
                    self._open_reference,
                    folder=self._folder / "verified",
                    say=self._say,
                )
        except ImageError as error:  # a foreign model may fail on the verification tiles
            problem = str(error)
        if problem:
            raise BackendError(
                f"OpenVINO in {computed} does not reproduce the model's results: {problem}"
            )
        return compiled

    def _backend(self, of_bytes: Compiled, open_words: Callable[[], Compiled]) -> OpenVinoBackend:
        on_cpu = self._device.name == "CPU"
        where = "the CPU" if on_cpu else self._device.full_name
        if of_bytes.computed != "int8":  # which is said of the model already
            where += f" in {of_bytes.computed}"
        if on_cpu:
            where += f", {self._threads} thread{'' if self._threads == 1 else 's'}"
        return OpenVinoBackend(
            self.info,
            of_bytes,
            open_words,
            where=f"OpenVINO on {where}",
            uniform_tiles=not on_cpu,
            is_foreign=self._model.is_foreign,
            least_px=self._model.least_px,
        )


def candidate_precisions(
    info: ModelInfo, wanted: WantedPrecision | None, device: OpenVinoDevice
) -> list[Computed]:
    """List the precisions to try, fastest first.

    Raises:
        ConfigError: the model has another precision.
        BackendError: the device cannot compute in what is asked for.
    """
    if info.precision == "int8":
        if wanted not in (None, "int8"):
            raise ConfigError(f"the model is INT8, and {wanted} was requested")
        return ["int8"]
    if wanted == "float32":
        return ["float32"]
    known = _QUICK if device.name == "CPU" else _QUICK_ELSEWHERE
    quick = [one for needs, one in known.items() if needs in device.capabilities]
    if wanted is None:
        return [*quick, "float32"]
    if wanted == "int8":
        raise ConfigError("the model is float32, and INT8 was requested")
    if wanted not in quick:
        raise BackendError(
            f"{device.full_name} supports {' and '.join([*quick, 'float32'])}, and {wanted} was "
            "requested: leave --precision out"
        )
    return [wanted]


def _writable(folder: Path) -> Path | None:
    """Create a folder if needed; None if that fails, and then nothing is cached."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder
