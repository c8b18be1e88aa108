"""A model in OpenVINO: read once, compiled for each sample type."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.backends.openvino.library import (
    OpenVinoDevice,
    load_openvino,
    openvino_core,
    openvino_reason,
)
from runtime.errors import BackendError, ModelError
from runtime.model.files import check_model_file
from runtime.model.foreign import foreign_facts
from runtime.model.info import PREFIX, ModelInfo
from runtime.model.tensors import OF_BYTES, PLAIN

Computed: TypeAlias = Literal["float32", "bfloat16", "float16", "int8"]
"""Precision of most of the computation."""

STREAMS = 1
"""Tiles computed at once, each on its share of the threads. More take more memory;
tests/benchmarks/openvino_cpu.py measures what they gain.
"""

_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "f32"}

_ONNX_NAMES = {"f32": "float", "f16": "float16", "u8": "uint8"}

_SHAPES_REMEMBERED = "1000"
"""Kernels kept for shapes seen before. With OpenVINO's own 5000, memory grew with each new picture
size; see docs/openvino.md.
"""


class OpenVinoModel:
    """A model file read by OpenVINO.

    Args:
        path: the file; one that `dggn-export` did not write is tried (`runtime.model.foreign`).
        device: device that runs the model.
        threads: CPU threads.
        cache: folder for compiled models; None for no cache.

    Raises:
        MissingDependency: OpenVINO is not installed.
        ModelError: the file is damaged, or enlarges no pictures.
        BackendError: OpenVINO cannot be loaded, or the model takes pictures in another form than
            those that `dggn-export` writes.
    """

    def __init__(
        self, path: Path, *, device: OpenVinoDevice, threads: int, cache: Path | None
    ) -> None:
        check_model_file(path)
        self._openvino = load_openvino()
        self._path = path
        self._device = device
        self._threads = threads
        self._cache = cache
        self._core = openvino_core()
        try:
            # Not `read_model`, which tries all formats it knows and complains of each.
            reader = self._openvino.frontend.FrontEndManager().load_by_framework("onnx")
            self._model = reader.convert(reader.load(str(path)))
        except Exception as error:  # OpenVINO's exceptions share no base class of their own.
            raise ModelError(
                f"{path} cannot be loaded by OpenVINO ({openvino_reason(error)}): expected a model "
                "that enlarges pictures, such as `dggn-export onnx` writes"
            ) from error
        self.is_foreign = not _metadata(self._model)
        self.info, self.least_px = self._facts()

    def compile(self, dtype: DTypeLike, computed: Computed) -> Any:
        """Compile the model for tiles of (1, H, W, 3), any height and width.

        Args:
            dtype: type of tiles and results: uint8 or uint16.
            computed: precision of the computation.

        Returns:
            OpenVINO's compiled model.

        Raises:
            BackendError: OpenVINO cannot compile it.
        """
        model = self._model.clone()
        try:
            if self.info.sample_type == "float32":
                model = self._with_samples(model, np.dtype(dtype))
            return self._compile(model, computed)
        except Exception as error:  # As above.
            raise BackendError(
                f"OpenVINO cannot compile {self._path} for the {self._device.name} "
                f"({openvino_reason(error)}): choose another --backend"
            ) from error

    def _compile(self, model: Any, computed: Computed) -> Any:
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _HINTS[computed]}
        if self._device.name == "CPU":
            settings |= {
                "INFERENCE_NUM_THREADS": self._threads,
                "NUM_STREAMS": min(STREAMS, self._threads),
                # Cores are the system's to give: decoding and encoding need some, too.
                "ENABLE_CPU_PINNING": False,
                "CPU_RUNTIME_CACHE_CAPACITY": _SHAPES_REMEMBERED,
            }
        if self._cache is not None:
            settings["CACHE_DIR"] = str(self._cache)
        return self._core.compile_model(model, self._device.name, settings)

    def _with_samples(self, model: Any, dtype: np.dtype[Any]) -> Any:
        """Wrap the network to take and return channels-last picture samples."""
        ov = self._openvino
        from openvino import opset15 as ops
        from openvino.preprocess import PrePostProcessor

        peak = float(np.iinfo(dtype).max)
        samples = ov.Type(dtype)
        steps = PrePostProcessor(model)
        tensor = steps.input().tensor()
        tensor.set_element_type(samples).set_layout(ov.Layout("NHWC"))
        steps.input().preprocess().convert_element_type(ov.Type.f32).scale(peak)
        steps.input().model().set_layout(ov.Layout("NCHW"))

        def to_samples(output: Any) -> Any:
            levels = ops.multiply(output, ops.constant(np.float32(peak)))
            return ops.clamp(ops.round(levels, "half_to_even"), 0.0, peak).output(0)

        steps.output().model().set_layout(ov.Layout("NCHW"))
        steps.output().postprocess().custom(to_samples)
        steps.output().postprocess().convert_element_type(samples)
        steps.output().tensor().set_layout(ov.Layout("NHWC"))
        return steps.build()

    def _facts(self) -> tuple[ModelInfo, int]:
        """Return the model's facts and the smallest input size."""
        if not self.is_foreign:
            return ModelInfo.from_metadata(_metadata(self._model), where=str(self._path)), 1
        inputs, outputs = (
            [(_kind(value), _shape(value)) for value in values]
            for values in (self._model.inputs, self._model.outputs)
        )
        if _reflects(self._model):
            raise BackendError(
                f"{self._path} pads by reflection, which OpenVINO does not check for pictures that "
                "are too small: choose --backend onnxruntime"
            )
        compiled: list[Any] = []

        def run(batch: NDArray[Any]) -> NDArray[Any]:
            try:
                if not compiled:
                    compiled.append(self._compile(self._model.clone(), "float32"))
                result: NDArray[Any] = compiled[0](batch)[0]
            except Exception as error:  # As above.
                raise BackendError(f"OpenVINO failed: {openvino_reason(error)}") from error
            return result

        found = foreign_facts(inputs, outputs, run, where=str(self._path))
        if found.tensors not in (PLAIN, OF_BYTES):
            raise BackendError(
                f"{self._path} takes {found.tensors}, and models are run here that take float32 "
                "NCHW in [0, 1]: choose --backend onnxruntime, or export it again so"
            )
        return found.info, found.least_px


def _metadata(model: Any) -> dict[str, str]:
    """Return our ONNX metadata properties, which OpenVINO keeps in a section of their own."""
    if not model.has_rt_info(["framework"]):
        return {}
    section = model.get_rt_info(["framework"])
    return {
        name: str(value.value if hasattr(value, "value") else value)
        for name, value in section.value.items()
        if name.startswith(PREFIX)
    }


def _reflects(model: Any) -> bool:
    """Whether it pads by reflection: of a smaller picture OpenVINO reads beyond the memory."""
    return any(
        node.get_type_name() == "Pad"
        and node.get_attributes().get("pad_mode") in ("reflect", "symmetric")
        for node in model.get_ops()
    )


def _kind(value: Any) -> str:
    """Return an element type under ONNX Runtime's name, which `foreign_facts` expects."""
    name = value.get_element_type().get_type_name()
    return f"tensor({_ONNX_NAMES.get(name, name)})"


def _shape(value: Any) -> list[int | None]:
    shape = value.get_partial_shape()
    if shape.rank.is_dynamic:
        return []
    return [None if size.is_dynamic else size.get_length() for size in shape]
