"""Results of a training step, transferred while the next step is already queued on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dggn.training.config import TrainConfig
from dggn.training.parallel import ProcessContext
from runtime.errors import ConfigError

NORM = "norm"
"""Key of the gradient norm among the terms of an update; a critic's includes its name."""


class Outcome:
    """The numbers of one step. Nothing waits for the device until they are read.

    Args:
        updates: losses of each update of the step, as scalars by name: those of the critics, each
            with `NAME_critic`, `NAME_penalty` and `NAME_norm` for every critic, and at last the
            generator's, with `loss`, its terms and `norm`.
        learning_rate: the generator's.
        config: configuration of the run.
        process: device and rank of this process; values are averaged over all processes.
    """

    def __init__(
        self,
        updates: Sequence[Mapping[str, Tensor]],
        learning_rate: float,
        config: TrainConfig,
        process: ProcessContext,
    ) -> None:
        self._names = [list(update) for update in updates]
        self._learning_rate, self._config = learning_rate, config
        scalars = [scalar.detach().float() for update in updates for scalar in update.values()]
        self._values = process.mean(torch.stack(scalars)).to("cpu", non_blocking=True)
        self._arrival: torch.cuda.Event | None = None
        if process.device.type == "cuda":
            self._arrival = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrival.record()

    def read(self) -> dict[str, float]:
        """Wait for the step and return its numbers.

        Returns:
            The weighted terms of the generator's loss, the learning rate, and the terms of the
            critics' last update, by name.

        Raises:
            ConfigError: a loss or gradient is no longer finite, or a critic has diverged. The
                networks have already been updated with the bad numbers, and must not be saved.
        """
        if self._arrival is not None:
            self._arrival.synchronize()
        values = iter(self._values.tolist())
        *critics, generator = [{name: next(values) for name in names} for names in self._names]
        for update in critics:
            self._check_critics(update)
        _check_generator(generator)
        del generator[NORM]
        told = {name: value for update in critics[-1:] for name, value in update.items()}
        told = {name: value for name, value in told.items() if not name.endswith(f"_{NORM}")}
        return {**generator, "learning_rate": self._learning_rate, **told}

    def _check_critics(self, update: Mapping[str, float]) -> None:
        largest = self._config.critic.largest_loss
        for name in [key.removesuffix("_critic") for key in update if key.endswith("_critic")]:
            loss = update[f"{name}_critic"] + update[f"{name}_penalty"]
            norm = update[f"{name}_{NORM}"]
            # Also false for what is not a number.
            if not (abs(loss) <= largest and norm < float("inf")):
                raise ConfigError(
                    f"the critic of the {name} diverged: its loss is {loss:.4g} and its gradient's "
                    f"norm {norm:.4g}, expected a loss within {largest:.4g}: "
                    "lower learning_rate in [critic] or the adversarial weights"
                )


def _check_generator(update: Mapping[str, float]) -> None:
    loss, norm = update["loss"], update[NORM]
    if abs(loss) < float("inf") and norm < float("inf"):
        return
    bad = [
        name
        for name in update
        if name not in ("loss", NORM) and not abs(update[name]) < float("inf")
    ]
    of_critics = bool(bad) and all("adversarial" in name for name in bad)
    source = f" (from {', '.join(bad)})" if bad else ""
    raise ConfigError(
        f"the loss is {loss}{source} and its gradient's norm {norm}: lower learning_rate in "
        f"[{'critic' if of_critics else 'optimizer'}]"
    )
