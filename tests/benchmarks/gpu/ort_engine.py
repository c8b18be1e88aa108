"""ONNX Runtime, on CUDA if available."""

from __future__ import annotations

import numpy as np
import onnxruntime

from runtime.backends.ort_session import Where, make_session
from runtime.errors import BackendError, MissingDependency
from tests.benchmarks.gpu.engine import Bytes
from tests.benchmarks.gpu.half import byte_graph
from tests.benchmarks.gpu.plan import NotMeasured, Plan
from tests.benchmarks.gpu.timing import per_second


class OrtEngine:
    """A session.

    Args:
        model: its name.
        plan: of the measurement.
    """

    def __init__(self, model: str, plan: Plan) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        where: Where = "cpu" if plan.dry_run else "cuda"
        try:
            self._session, _ = make_session(byte_graph(plan, model), options, where=where)
        except (BackendError, MissingDependency) as error:
            raise NotMeasured(str(error)) from error
        provider = self._session.get_providers()[0]
        self.description = f"ONNX Runtime {onnxruntime.__version__}, {provider}"
        self._tiles = np.load(plan.work / "tiles.npy")
        device = "cpu" if plan.dry_run else "cuda"
        self._binding = self._session.io_binding()
        tiles = onnxruntime.OrtValue.ortvalue_from_numpy(self._tiles, device, 0)
        self._binding.bind_ortvalue_input(self._session.get_inputs()[0].name, tiles)
        self._binding.bind_output(self._session.get_outputs()[0].name, device, 0)

    def infer(self, tiles_nhwc: Bytes) -> Bytes:
        """Super-resolve a batch."""
        name = self._session.get_inputs()[0].name
        (result,) = self._session.run(None, {name: tiles_nhwc})
        return np.asarray(result)

    def engine_only(self, seconds: float) -> float:
        """Batches per second, bound to device memory."""
        return per_second(
            lambda: self._session.run_with_iobinding(self._binding),
            self._binding.synchronize_outputs,
            seconds,
        )

    def with_copies(self, seconds: float) -> float:
        """Batches per second, one after the other, copied by `run`."""
        return per_second(lambda: self.infer(self._tiles), lambda: None, seconds)

    def rates(self, seconds: float) -> dict[str, float]:
        """Not available through this library."""
        raise NotMeasured("rates of the device are measured with PyTorch")

    def close(self) -> None:
        """Free the device."""
        del self._binding, self._session
