"""Ways in which a GPU can compute an update, and a trial that finds the fastest one here.

A GPU of today computes a step of a small network faster than Python can queue it. Replayed as one
CUDA graph, a step is queued at once; compiled, it has fewer and larger kernels. Which of them is
faster depends on the card, the network and the batch, and a trial of seconds tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dggn.training.config import TrainConfig
from dggn.training.parallel import ProcessContext

TRIAL_S = 30.0
"""Time to measure all forms, without compiling or recording them."""

LEAST_STEPS = 3
"""Minimum number of steps to time per form."""

WARM_UP_STEPS = 3
"""Number of steps before recording, so that libraries have chosen kernels and memory."""

Terms = dict[str, Tensor]


class Update(Protocol):
    """Computes a loss and all gradients of one batch without changing weights."""

    def __call__(self, lr: Tensor, hr: Tensor, shift: Tensor | None) -> Terms:
        """Leave the gradients in the parameters.

        Args:
            lr: LR crops.
            hr: HR crops.
            shift: as `GeneratorLoss` takes it.

        Returns:
            The loss, its terms and the gradient's norm, scalars by name.
        """


Record = Callable[[Callable[[], None]], Callable[[], None]]
"""Records work on the device without running it, and returns a function that queues it."""


class GraphedUpdate:
    """An update recorded once and replayed with other crops in the same memory.

    Args:
        update: what is recorded; it allocates the gradients, whose memory stays the same after.
        record: how.
    """

    def __init__(self, update: Update, record: Record | None = None) -> None:
        self._update = update
        self._record = record or record_cuda_graph
        self._replay: Callable[[], None] | None = None
        self._lr = self._hr = torch.empty(0)
        self._shift: Tensor | None = None
        self._terms: Terms = {}

    def __call__(self, lr: Tensor, hr: Tensor, shift: Tensor | None) -> Terms:
        """Compute like :class:`Update`; the results hold until the next call."""
        if self._replay is None:
            self._lr, self._hr = lr.clone(), hr.clone()
            self._shift = None if shift is None else shift.clone()
            self._replay = self._record(self._run)
        self._lr.copy_(lr)
        self._hr.copy_(hr)
        if self._shift is not None:
            assert shift is not None, "recorded with one"
            self._shift.copy_(shift)
        self._replay()
        return self._terms

    def _run(self) -> None:
        self._terms = self._update(self._lr, self._hr, self._shift)


def record_cuda_graph(work: Callable[[], None]) -> Callable[[], None]:
    """Record work as a CUDA graph, after warm-up rounds on another stream, as PyTorch requires."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_STEPS):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def possible_forms(config: TrainConfig, process: ProcessContext) -> tuple[str, ...]:
    """Return the names of the forms that a run can use, simplest first.

    Compiling is tried where the run asks for it only, because it takes minutes. Runs with critics,
    with several processes or with an update that differs from step to step are not recorded.
    """
    forms = ["compiled" if config.compile else "eager"]
    is_alike = config.batches_per_step == 1 and not config.fusion_only_steps
    if process.device.type == "cuda" and process.count == 1:
        forms = ["eager", "compiled"] if config.compile else ["eager"]
        if is_alike:
            forms += [f"{one}, as a CUDA graph" for one in forms]
    return tuple(forms)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Result of a trial."""

    steps_per_s: Mapping[str, float]
    """Steps per second of the forms that work."""

    problems: Mapping[str, str]
    """Reasons for forms that do not work, by name."""

    @property
    def fastest(self) -> str:
        """Name of the fastest form."""
        return max(self.steps_per_s, key=lambda form: self.steps_per_s[form])

    @property
    def lines(self) -> list[str]:
        """Return the result as text."""
        found = [f"{form} {rate:.1f}" for form, rate in self.steps_per_s.items()]
        lines = [f"steps a second: {'; '.join(found)}: training {self.fastest}"]
        return [*lines, *(f"not {form}: {why}" for form, why in self.problems.items())]


def try_forms(
    forms: Mapping[str, Callable[[], object]],
    *,
    wait: Callable[[], None],
    budget_s: float = TRIAL_S,
    clock: Callable[[], float] = time.monotonic,
) -> Trial:
    """Time forms of a step.

    Args:
        forms: by name, each does one step; the first call may take long and is not timed.
        wait: waits until the device has done all steps.
        budget_s: for the timed steps of all forms.
        clock: seconds.

    Raises:
        RuntimeError: what the last form raised, where none works.
    """
    rates: dict[str, float] = {}
    problems: dict[str, str] = {}
    last: RuntimeError | None = None
    for name, step in forms.items():
        try:
            step()
            wait()
            rates[name] = _rate(step, wait, budget_s / len(forms), clock)
        except RuntimeError as error:  # of CUDA, and of compilers
            problems[name] = str(error).partition("\n")[0] or type(error).__name__
            last = error
    if not rates:
        assert last is not None
        raise last
    return Trial(steps_per_s=rates, problems=problems)


def _rate(
    step: Callable[[], object],
    wait: Callable[[], None],
    budget_s: float,
    clock: Callable[[], float],
) -> float:
    """Measure steps per second, in rounds that grow until one takes a good part of the time."""
    begun, count = clock(), LEAST_STEPS
    while True:
        started = clock()
        for _ in range(count):
            step()
        wait()
        ended = clock()
        took = max(ended - started, 1e-9)
        # The next round would take twice as long.
        if ended - begun + 2 * took > budget_s:
            return count / took
        count *= 2
