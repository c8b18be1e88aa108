"""`dggn-serve` in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.processes import HANGS_S, started, wait_until

APP = "from runtime.serve.cli import app; app(prog_name='dggn-serve')"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


def command(*arguments: str, first: str = "") -> list[str]:
    """Return the command line; Python code that runs first may change the environment."""
    return [sys.executable, "-W", "error", "-c", f"{first}\n{APP}", *arguments]


@dataclass
class Running:
    """A server that answers."""

    process: subprocess.Popen[str]
    port: int
    said: list[str] = field(default_factory=list)
    """Lines of its standard error."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self, number: int) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(HANGS_S)


@contextlib.contextmanager
def running(*arguments: str, temporary: Path, **variables: str) -> Iterator[Running]:
    """A server on a free port of loopback, with ONNX Runtime on one thread.

    Args:
        arguments: further ones of the command.
        temporary: where its folder for uploads goes.
        variables: of its environment.
    """
    options = ("--port", "0", "--backend", "onnxruntime", "--threads", "1")
    environment = {**os.environ, "TMPDIR": str(temporary), **variables}
    with started(command(*options, *arguments), env=environment) as process:
        said: list[str] = []
        assert process.stderr
        reading = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
        reading.start()
        wait_until(lambda: ADDRESS.search("".join(said)), process)
        found = ADDRESS.search("".join(said))
        assert found
        yield Running(process, int(found[1]), said)
        process.kill()
        process.wait(HANGS_S)
        reading.join(HANGS_S)
