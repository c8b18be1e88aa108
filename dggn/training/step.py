"""One training step: critic updates, if any, then the generator's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from dggn.model.config import SCALE
from dggn.model.generator import Generator
from dggn.model.gradient import GradientMagnitude
from dggn.training.adversary import CriticLoss, interpolation
from dggn.training.batches import Batches
from dggn.training.forms import GraphedUpdate, Terms, Update, possible_forms, try_forms
from dggn.training.loss import GeneratorLoss
from dggn.training.outcome import NORM, Outcome
from dggn.training.parallel import ProcessContext
from dggn.training.perceptual import open_perceptual, random_shift
from dggn.training.schedule import learning_rate
from dggn.training.state import TrainingState

FUSION = "image_tail."
"""Prefix of the generator's parameters that fuse the two branches."""


Say = Callable[[str], None]
"""Receives one-line status messages."""


class TrainingForward(nn.Module):
    """The generator's training forward pass, for DistributedDataParallel and compilers.

    Args:
        generator: the network.
        with_gradient: whether the gradient branch's prediction is wanted.
    """

    def __init__(self, generator: Generator, with_gradient: bool) -> None:
        super().__init__()
        self.generator = generator
        self._with_gradient = with_gradient

    def forward(self, lr_nchw: Tensor) -> tuple[Tensor, Tensor | None]:
        """Forward as in :meth:`Generator.forward_with_gradient`."""
        if self._with_gradient:
            return self.generator.forward_with_gradient(lr_nchw)
        return self.generator(lr_nchw), None


class Step:
    """One update of all networks, which never waits for the device.

    Args:
        state: state of the run; its networks are updated, its counters are not.
        batches: training batches.
        process: device and rank of this process.
        say: receives what a trial of the forms of a step found, where there is one.

    Raises:
        ConfigError: a layer of the perceptual network is unknown.
        EnvironmentProblem: the perceptual network's weights cannot be downloaded.
        ModelError: the perceptual network's weights are missing or damaged.
    """

    def __init__(
        self,
        state: TrainingState,
        batches: Batches,
        process: ProcessContext,
        say: Say = lambda line: None,
    ) -> None:
        config = state.config
        self._state, self._batches, self._process = state, batches, process
        wants_gradient = bool(config.loss.branch_gradient and config.generator.gradient_units)
        if config.generator.gradient_units and not wants_gradient:
            # Nothing trains it then, and processes would wait for its gradients.
            state.generator.gradient_tail.requires_grad_(False)
        # On CUDA, grouped convolutions are many times slower than separate ones.
        state.generator.group_branches(process.device.type == "cpu")
        self._wants_gradient = wants_gradient
        self._critic_losses = {
            name: process.wrap(CriticLoss(critic.network, config.precision))
            for name, critic in state.critics.items()
        }
        self._gradient = GradientMagnitude().to(process.device)
        self._loss = GeneratorLoss(
            config.loss,
            open_perceptual(config.perceptual) if config.loss.perceptual else None,
            {name: critic.network for name, critic in state.critics.items()},
            compared=config.perceptual.pictures,
        ).to(process.device)
        self._weights: list[Tensor] = list(state.generator.parameters())
        self._averages: list[Tensor] = list(state.average.parameters())
        self._plain: dict[str, Update] = {}
        self._update = self._in_form(self._choose_form(say))
        if config.compile and state.critics:
            state.generator.compile()  # for their steps, which want no gradients

    def _choose_form(self, say: Say) -> str:
        """Return the form of updates: the fastest here, if there is a choice."""
        forms = possible_forms(self._state.config, self._process)
        if len(forms) == 1:
            return forms[0]
        crops = self._state.config.data.batch_size, 3
        side = self._state.config.data.patch_lr_px
        lr, hr = (
            torch.rand(*crops, length, length, device=self._process.device).to(
                memory_format=torch.channels_last
            )
            for length in (side, SCALE * side)
        )
        # No weights change: an update is the gradients alone.
        updates = {form: self._in_form(form) for form in forms}
        trial = try_forms(
            {form: partial(update, lr, hr, self._shift(0)) for form, update in updates.items()},
            wait=torch.cuda.synchronize,
        )
        self._state.generator.zero_grad(set_to_none=True)
        for line in trial.lines:
            say(line)
        return trial.fastest

    def _in_form(self, form: str) -> Update:
        """Create an update of a form; compiled ones are compiled once."""
        plain, _, recorded = form.partition(", ")
        if plain not in self._plain:
            forward = TrainingForward(self._state.generator, self._wants_gradient)
            if plain == "compiled":
                forward.compile()
            self._plain[plain] = partial(self._gradients, self._process.wrap(forward))
        return GraphedUpdate(self._plain[plain]) if recorded else self._plain[plain]

    def __call__(self, progress: float) -> Outcome:
        """Queue one step on the device.

        Args:
            progress: share of the run that is done, which sets the learning rates.

        Returns:
            The losses of the step. The state must not be saved before they are read: they
            show whether the networks were updated with finite numbers.
        """
        state, config = self._state, self._state.config
        rate = learning_rate(
            config.optimizer, state.step - state.warm_up_from, progress, config.steps
        )
        critic_rate = rate * config.critic.learning_rate / config.optimizer.learning_rate
        first = state.step * config.batches_per_step
        last = first + config.batches_per_step - 1
        updates = [self._train_critics(number, critic_rate) for number in range(first, last)]
        updates.append(self._train_generator(last, rate))
        return Outcome(updates, rate, config, self._process)

    def _train_critics(self, number: int, rate: float) -> dict[str, Tensor]:
        config = self._state.config
        lr, hr = self._batches.batch(number)
        with torch.no_grad(), self._autocast():
            # Not through the wrapped one: its gradients are not wanted here.
            fake = self._state.generator(lr)
        mix = interpolation(config.seed, number, len(hr) * self._process.count)
        mix = self._process.send(self._process.share(mix))
        update: dict[str, Tensor] = {}
        for name, critic in self._state.critics.items():
            seen = (hr, fake) if name == "image" else (self._gradient(hr), self._gradient(fake))
            difference, penalty = self._critic_losses[name](*seen, mix)
            critic.optimizer.zero_grad(set_to_none=True)
            (difference + config.critic.penalty * penalty).backward()
            update[f"{name}_critic"] = difference.detach()
            update[f"{name}_penalty"] = config.critic.penalty * penalty.detach()
            update[f"{name}_{NORM}"] = nn.utils.get_total_norm(
                [one.grad for one in critic.network.parameters() if one.grad is not None]
            )
            _apply(critic.optimizer, rate)
        return update

    def _train_generator(self, number: int, rate: float) -> dict[str, Tensor]:
        state = self._state
        lr, hr = self._batches.batch(number)
        terms = self._update(lr, hr, self._shift(number))
        _apply(state.optimizer, rate)
        if state.kernel_optimizer is not None:
            optimizer = state.config.optimizer
            share = optimizer.muon_learning_rate / optimizer.learning_rate
            _apply(state.kernel_optimizer, rate * share)
        self._update_average()
        return terms

    def _gradients(
        self, generate: nn.Module, lr: Tensor, hr: Tensor, shift: Tensor | None
    ) -> Terms:
        """Compute the generator's loss and gradients; see `dggn.training.forms.Update`."""
        state, config = self._state, self._state.config
        for critic in state.critics.values():
            critic.network.requires_grad_(False)
        with self._autocast():
            image, branch_gradient = generate(lr)
            terms: Terms = self._loss(image, branch_gradient, hr, shift)
        loss = torch.stack(list(terms.values())).sum()
        state.generator.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for critic in state.critics.values():
            critic.network.requires_grad_(True)
        if state.step < config.fusion_only_steps:
            for name, parameter in state.generator.named_parameters():
                if not name.startswith(FUSION):
                    parameter.grad = None  # which optimizers pass over
        norm = nn.utils.clip_grad_norm_(self._weights, config.optimizer.clip_norm)
        return {"loss": loss.detach(), **terms, NORM: norm}

    def _shift(self, number: int) -> Tensor | None:
        config = self._state.config
        if not config.loss.perceptual or config.perceptual.compare != "directions":
            return None  # as the paper has it
        return self._process.send(random_shift(config.seed, number))

    def _autocast(self) -> torch.autocast:
        enabled = self._state.config.precision == "bf16"
        return torch.autocast(self._process.device.type, torch.bfloat16, enabled=enabled)

    @torch.no_grad()
    def _update_average(self) -> None:
        state = self._state
        # A short memory at first, so that the average forgets a random start.
        decay = min(state.config.optimizer.ema_decay, (1 + state.step) / (10 + state.step))
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)


def _apply(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
