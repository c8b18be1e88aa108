"""Stand-ins for the libraries that TensorRT 8.5's plugins are linked with and engines do without.

Every function ends the process; `dggn_stand_in` tells `export.trt.builder.tactics` what they are.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from export.trt.builder.tactics import STAND_IN

PREFIXES = {
    "libcudnn.so.8": "cudnn",
    "libcublasLt.so.11": "cublasLt",
    "libcublas.so.11": "cublas",
}
"""Prefixes of each library's functions, longest first."""


def make_stand_ins(plugins: Path, target: Path) -> None:
    """Compile the stand-ins that a library needs.

    Args:
        plugins: the library.
        target: folder for them.

    Raises:
        CalledProcessError: `nm` or `cc` fails.
    """
    target.mkdir(parents=True, exist_ok=True)
    command = ["nm", "-D", "--undefined-only", str(plugins)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r" U (cu\w+)", listed))
    for library, prefix in PREFIXES.items():
        own = sorted(name for name in names if name.startswith(prefix))
        names -= set(own)
        lines = ["#include <stdlib.h>", f"int {STAND_IN} = 1;"]
        lines += [f"void {name}(void) {{ abort(); }}" for name in own]
        source = target / f"{library}.c"
        source.write_text("\n".join(lines) + "\n")
        output = str(target / library)
        soname = f"-Wl,-soname,{library}"
        subprocess.run(["cc", "-shared", "-fPIC", soname, "-o", output, str(source)], check=True)
        source.unlink()
