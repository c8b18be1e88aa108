"""A Python that can be carried to a machine that has another one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "test", "tests", "idlelib", "tkinter", "ensurepip", "site-packages", "config-*",
    "lib2to3", "turtledemo", "pydoc_data", "_test*", "_xx*", "*.a",
)  # fmt: skip

OF_EVERY_SYSTEM = ("libc.so", "libm.so", "ld-linux", "linux-vdso", "libpthread", "libdl")


def copy_python(prefix: Path, version: str, target: Path) -> None:
    """Copy an installed Python with the libraries that its modules need; run it with PYTHONHOME.

    Args:
        prefix: where it is installed, with `bin` and `lib`.
        version: as `3.10`.
        target: folder to make.
    """
    (target / "bin").mkdir(parents=True)
    shutil.copy(prefix / "bin" / f"python{version}", target / "bin")
    shutil.copytree(
        prefix / "lib" / f"python{version}", target / "lib" / f"python{version}", ignore=LEFT_OUT
    )
    modules = (target / "lib" / f"python{version}" / "lib-dynload").glob("*.so")
    for module in (target / "bin" / f"python{version}", *modules):
        listed = subprocess.run(["ldd", str(module)], capture_output=True, text=True, check=True)
        for path in re.findall(r"=> (/\S+)", listed.stdout):
            if not any(name in path for name in OF_EVERY_SYSTEM):
                shutil.copy(path, target / "lib")
