"""A process that measures one backend, with the interpreter that has it installed.

    python -m tests.benchmarks.gpu.worker BACKEND

reads requests from stdin and answers each on stdout, both a JSON object a line. An answer holds
`result`, or `problem`: why there is none.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np

from tests.benchmarks.gpu.engine import Engine, open_engine
from tests.benchmarks.gpu.plan import NotMeasured, Plan


class Worker:
    """Answers requests for one backend.

    Args:
        backend: its name.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._engine: Engine | None = None

    def answer(self, request: dict[str, Any]) -> Any:
        """Serve a request; return the result."""
        what, plan = request["what"], Plan.from_json(request["plan"])
        if what == "open":
            self.close()
            self._engine = open_engine(self._backend, request["model"], plan)
            return self._engine.description
        if self._engine is None:
            raise NotMeasured("no model is open")
        if what == "infer":
            path = plan.work / f"{request['model']}-{self._backend}.npy"
            np.save(path, self._engine.infer(np.load(plan.work / "tiles.npy")))
            return str(path)
        measure = getattr(self._engine, what)
        return measure(plan.seconds)

    def close(self) -> None:
        """Free the device."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def main() -> None:
    """Answer until stdin ends."""
    # Libraries may print to standard output: send that to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        try:
            answer = {"result": worker.answer(json.loads(line))}
        except NotMeasured as problem:
            answer = {"problem": str(problem)}
        except Exception as error:  # noqa: BLE001 - of any library; the results file names it
            answer = {"problem": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    worker.close()


if __name__ == "__main__":
    main()
