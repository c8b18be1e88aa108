from __future__ import annotations

import sys

import pytest

from tests.support.processes import run

CODE = """
import ctypes, resource, sys
from dggn.training.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    print(keep_freed_memory())
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def step():
    for _ in range(4):
        block = libc.malloc(48 << 20)
        libc.memset(block, 1, 48 << 20)
        libc.free(block)
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
