"""Error responses: a status and a sentence."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from runtime.codecs.kinds import KindNotRead
from runtime.codecs.limits import TooManyPixels
from runtime.errors import Cancelled, ConfigError, DggnError, ImageError

RETRY_AFTER_S = 5
"""Seconds after which a client without a place should retry."""

_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
_logger = logging.getLogger(__name__)


class Problem(Exception):
    """A request that ends without a picture.

    Args:
        status: of HTTP.
        message: human-readable: what is wrong and what to do.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def headers(self) -> dict[str, str]:
        """Additional response headers."""
        if self.status == 503:
            return {"Retry-After": str(RETRY_AFTER_S)}
        if self.status == 401:
            return {"WWW-Authenticate": 'Bearer realm="dggn-serve"'}
        return {}


def problem_of(error: BaseException, *, name: str, parameters: Iterable[str]) -> Problem:
    """Return the response to a request whose picture could not be made.

    Args:
        error: what the work raised.
        name: of the file that it worked on, which the client does not know.
        parameters: names of query parameters, which messages call as options of `dggn-run`.
    """
    if isinstance(error, Problem):
        return error
    known = frozenset(parameters)

    def as_parameter(option: re.Match[str]) -> str:
        parameter = option[1].replace("-", "_")
        return parameter if parameter in known else option[0]

    message = str(error).removeprefix(f"{name}: ").removeprefix(name).strip()
    message = _OPTION.sub(as_parameter, message)
    if isinstance(error, TooManyPixels):
        return Problem(413, f"the picture {message}")
    if isinstance(error, KindNotRead):
        return Problem(415, f"the file {message}")
    if isinstance(error, ImageError):
        return Problem(422, message)
    if isinstance(error, ConfigError):
        return Problem(400, message)
    if isinstance(error, Cancelled):
        return Problem(503, "the server is stopping: send it again")
    if isinstance(error, MemoryError):
        return Problem(503, "not enough memory for this picture at the moment: send it again later")
    if isinstance(error, DggnError | OSError):
        # Full disks and broken devices: for the log, since it names folders.
        _logger.error("%s", error)
        return Problem(500, "the server cannot process pictures at the moment; its log says why")
    _logger.error("unexpected error", exc_info=error)
    return Problem(500, f"unexpected {type(error).__name__}. Please report this")
