from __future__ import annotations

import pytest

from runtime.backends.trt.messages import Messages


@pytest.mark.parametrize(
    "said",
    [
        "1: [defaultAllocator.cpp] Cuda Runtime (out of memory)",
        "OutOfMemory (no further information)",
        "Skipping tactic 0 due to insufficient memory on requested size of 9663676416",
        "Requested amount of GPU memory could not be allocated: std::bad_alloc",
        "CUDA_ERROR_OUT_OF_MEMORY",
        "cudaErrorMemoryAllocation",
    ],
)
def test_want_of_memory_is_recognised(said: str) -> None:
    messages = Messages()
    messages.add("error", "CUDA ran out of memory before")
    mark = messages.mark()
    assert not messages.ran_out_of_memory(mark)
    # The error that follows does not say why.
    messages.add("warning", said)
    messages.add("error", "Could not find any implementation for node conv")
    assert messages.ran_out_of_memory(mark)
