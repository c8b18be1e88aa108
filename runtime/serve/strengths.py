"""One model at several strengths of denoising, each opened when first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from runtime.errors import Cancelled, ConfigError
from runtime.serve.lanes import Feeder
from runtime.upscaler import Upscaler

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Strengths that clients may ask for: few, as each is a model of its own in memory."""

Reopen = Callable[[float], Upscaler]
"""Opens the model once more, at another strength."""


@dataclass(frozen=True, kw_only=True)
class Strength:
    """A model at one strength."""

    upscaler: Upscaler
    feeder: Feeder


class Strengths:
    """Upscalers of one model, with a feeder each.

    Args:
        upscaler: at the strength of requests that ask for none; the caller closes it.
        reopen: opens another one; None for a model of one strength.
        on_failure: told, from a feeder's thread, what ended all work.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        reopen: Reopen | None,
        *,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.default = Strength(
            upscaler=upscaler, feeder=Feeder(upscaler.backend, on_failure=on_failure)
        )
        self._reopen = None if upscaler.denoise is None else reopen
        self._on_failure = on_failure
        self._open = {upscaler.denoise: self.default}
        self._opened = ExitStack()
        self._guard = threading.Lock()
        self._is_closed = False

    @property
    def offered(self) -> tuple[float, ...]:
        """Strengths that a request may ask for; empty for a model of one strength."""
        return () if self._reopen is None else STRENGTHS

    def at(self, denoise: float | None, *, is_deep: bool = False) -> Strength:
        """Return the model at a strength, opened when first asked for.

        That takes seconds, or minutes where an engine must be built.

        Args:
            denoise: one of those offered; None for the default.
            is_deep: whether for a picture of 16 bits, which some backends open something for.

        Raises:
            ConfigError: the model has one strength only.
            DggnError: the model cannot be opened at this one, or not for 16 bits.
            Cancelled: it is closed.
        """
        if denoise is not None and self._reopen is None:
            raise ConfigError("this server's model has one strength: leave denoise out")
        with self._guard:
            if self._is_closed:
                raise Cancelled("the server is stopping")
            found = self.default if denoise is None else self._opened_at(denoise)
            if is_deep:
                found.upscaler.prepare_deep()
            return found

    def _opened_at(self, denoise: float) -> Strength:
        if denoise not in self._open:
            assert self._reopen is not None
            upscaler = self._opened.enter_context(self._reopen(denoise))
            feeder = Feeder(upscaler.backend, on_failure=self._on_failure)
            self._open[denoise] = Strength(upscaler=upscaler, feeder=feeder)
        return self._open[denoise]

    def close(self) -> None:
        """Cancel the work of all, and close those opened here."""
        with self._guard:
            self._is_closed = True
            for strength in self._open.values():
                strength.feeder.close()
            self._opened.close()
