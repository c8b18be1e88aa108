"""A stand-in for TensorRT 8.5's plugins, which no engine of ours uses.

The parser and the Python module call one function of theirs. The real library is 50 MB, and is
linked with cuBLAS and cuDNN, which would have to come along, too.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

PLUGINS = "libnvinfer_plugin.so.8"
SOURCE = """#include <stdbool.h>

bool initLibNvInferPlugins(void *logger, const char *name_space) { return true; }
"""


def make_stand_in(target: Path) -> None:
    """Compile the stand-in.

    Args:
        target: folder for it.

    Raises:
        CalledProcessError: `cc` fails.
    """
    command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{PLUGINS}", "-x", "c", "-"]
    command += ["-o", str(target / PLUGINS)]
    subprocess.run(command, input=SOURCE, text=True, check=True)
