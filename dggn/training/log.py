"""The log of a run: a JSON line per record, and the same for TensorBoard."""

from __future__ import annotations

import json
import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError, TargetError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG_NAME = "log.jsonl"
TENSORBOARD_FOLDER = "tensorboard"

logger = logging.getLogger(__name__)

Record = dict[str, float]


class Log:
    """Writer of a run's log; a context manager.

    What an earlier process logged of steps that are now repeated is taken out first. Where
    tensorboard is not installed, its part is left out, with a warning.

    Args:
        folder: folder of the run.
        step: steps done so far.

    Raises:
        TargetError: the log cannot be written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / LOG_NAME
        if self._path.exists():
            kept = [record for record in read_log(folder) if record["step"] <= step]
            self._write("".join(json.dumps(record) + "\n" for record in kept), whole=True)
        self._board: SummaryWriter | None = None
        if find_spec("tensorboard") is None:
            logger.warning("tensorboard is not installed: %s is the only log", self._path)
            return
        from torch.utils.tensorboard import SummaryWriter

        self._board = SummaryWriter(str(folder / TENSORBOARD_FOLDER), purge_step=step + 1)

    def write(self, record: Record) -> None:
        """Append a record, which includes its `step`.

        Raises:
            TargetError: the log cannot be written.
        """
        self._write(json.dumps(record) + "\n")
        if self._board is not None:
            for name, value in record.items():
                if name != "step":
                    self._board.add_scalar(name, value, int(record["step"]))

    def _write(self, text: str, *, whole: bool = False) -> None:
        try:
            if whole:
                partial = self._path.with_name(self._path.name + ".partial")
                partial.write_text(text, encoding="utf-8")
                os.replace(partial, self._path)
            else:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(text)
        except OSError as error:
            raise TargetError(
                f"{self._path} cannot be written: {error.strerror or error}"
            ) from error

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._board is not None:
            self._board.close()


def read_log(folder: Path) -> list[Record]:
    """Read the records of a run in order, without a last line truncated by a kill.

    Raises:
        ConfigError: the folder has no log, or the log is damaged.
    """
    path = folder / LOG_NAME
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        records = [json.loads(line) for line in lines]
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist: name the folder of a run") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is damaged ({error}): remove the broken line") from error
    if not all(isinstance(record, dict) and "step" in record for record in records):
        raise ConfigError(f"{path} is damaged: every line must be an object with a step")
    return records
