from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="needs the rtx extra")
pytest.importorskip("onnxruntime", reason="needs the rtx extra")
pytest.importorskip("tensorrt_rtx", reason="needs the rtx extra")
from export.trt.traffic.log import read_log
from runtime.errors import BackendError
from tests.support.kernel_logs import KERNEL, MEMORY, WAIT


def test_a_kernel_is_read() -> None:
    traffic = read_log(["noise", f"Layers:\n{WAIT}\n{KERNEL}\n", MEMORY], tile_px=16, scale=4)
    (kernel,) = traffic.kernels
    # A tensor named twice is read once; biases do not count as weights.
    assert kernel.bytes == 32 * 64 * 2 + 16 * 64 * 4
    assert kernel.flops == 2 * 64 * 16 * 32 * 9
    assert kernel.nodes == ("relu", "conv")
    assert kernel.is_float32 and not kernel.is_slice and not kernel.is_cast
    assert traffic.kind(kernel) == "3×3 convolutions at ×1/2"
    assert traffic.bytes_per_pixel == kernel.bytes / 64**2
    assert traffic.activation_bytes == 4096


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([MEMORY], id="no kernels"),
        pytest.param([f"Layers:\n{KERNEL}\n"], id="no memory"),
        pytest.param(
            [f"Layers:\n{KERNEL}\n{KERNEL.replace('Outputs', 'Results')}\n", MEMORY],
            id="a kernel in other words",
        ),
    ],
)
def test_a_log_in_other_words_is_an_error(messages: list[str]) -> None:
    with pytest.raises(BackendError, match="log could not be parsed"):
        read_log(messages, tile_px=16, scale=4)
