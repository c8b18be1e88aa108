from __future__ import annotations

import sys

import pytest

from tests.support.processes import run

CODE = """
import resource, sys
from dggn.training.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    print(keep_freed_memory())
import numpy as np
def step():
    for _ in range(4):
        np.ones(48 << 20, np.uint8)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has these settings")
def test_memory_is_used_again_without_new_pages() -> None:
    if not hasattr(__import__("ctypes").CDLL(None), "gnu_get_libc_version"):
        pytest.skip("the C library is not glibc")
    pages = 4 * 48 * 256  # of 4 KiB; above 32 MiB glibc always maps anew
    freed = run([sys.executable, "-c", CODE, "freed"])
    assert int(freed.stdout) > pages / 2
    kept = run([sys.executable, "-c", CODE, "kept"])
    taken, faults = kept.stdout.split()
    assert taken == "True"
    assert int(faults) < pages / 20
