"""Workers as seen from the measuring process."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu.plan import NotMeasured, Plan

ROOT = Path(__file__).parents[3]


class WorkerProcess:
    """A worker of one backend.

    Args:
        backend: its name.
        python: the interpreter that has its libraries.
        plan: of the measurement.
    """

    def __init__(self, backend: str, python: str, plan: Plan) -> None:
        self.backend = backend
        self._plan = plan
        command = [python, "-m", "tests.benchmarks.gpu.worker", backend]
        self._log = (plan.work / f"{backend}.log").open("w")
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def ask(self, what: str, model: str = "") -> Any:
        """Send a request and return the answer.

        Raises:
            NotMeasured: it failed; the message gives the reason.
        """
        assert self._process.stdin and self._process.stdout
        request = {"what": what, "model": model, "plan": self._plan.to_json()}
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            raise NotMeasured(f"its process ended with code {code} ({self._last_words()})")
        answer = json.loads(line)
        if "problem" in answer:
            raise NotMeasured(answer["problem"])
        return answer["result"]

    def _last_words(self) -> str:
        self._log.flush()
        lines = Path(self._log.name).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        # The worker ends at the end of its input.
        self._process.communicate()
        self._log.close()
