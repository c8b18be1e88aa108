"""What a training run is made of: TOML in, frozen dataclasses out."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from dggn.model.config import GeneratorConfig, preset
from dggn.settings import from_mapping
from runtime.errors import ConfigError
from runtime.extras import require

RECIPES_FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the pictures are and how they are cropped."""

    train: tuple[str, ...] = ()
    """Folders of HR training pictures."""

    validation: tuple[str, ...] = ()
    """Folders of HR pictures that every choice is made on; may be empty."""

    patch_lr_px: int = 48
    """Side of an LR crop (48 in the paper, Section 4.2)."""

    batch_size: int = 8
    """Crops in a step."""

    def __post_init__(self) -> None:
        if self.patch_lr_px < 8 or self.batch_size < 1:
            raise ConfigError(
                f"patch_lr_px is {self.patch_lr_px} and batch_size {self.batch_size}: "
                "expected at least 8 and 1"
            )


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the terms of Eq. 6 that a PSNR run uses, and of the gradient branch."""

    pixel: float = 1.0
    """Alpha: L1 between the pictures."""

    branch_gradient: float = 0.1
    """Eta: L1 between the gradient branch's prediction and the HR gradient magnitude."""

    def __post_init__(self) -> None:
        if self.pixel <= 0 or self.branch_gradient < 0:
            raise ConfigError(
                f"pixel is {self.pixel} and branch_gradient {self.branch_gradient}: "
                "expected a positive weight and one that is not negative"
            )


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adam and its schedule: linear warm-up, then a cosine down to nothing."""

    learning_rate: float = 5e-4
    """At the end of the warm-up."""

    warmup_steps: int = 200
    """Steps over which the rate rises from nothing."""

    beta1: float = 0.9
    """Adam's decay of the first moment."""

    beta2: float = 0.99
    """Adam's decay of the second moment."""

    clip_norm: float = 1.0
    """Largest gradient norm."""

    ema_decay: float = 0.999
    """Decay of the exponential moving average of the weights, which is what is kept."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or self.clip_norm <= 0:
            raise ConfigError(
                f"learning_rate is {self.learning_rate} and clip_norm {self.clip_norm}: "
                "both must be positive"
            )
        if self.warmup_steps < 0:
            raise ConfigError(f"warmup_steps is {self.warmup_steps}: it must not be negative")
        for name in ("beta1", "beta2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: expected 0 <= {name} < 1")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run."""

    preset: str
    """Name of the generator's structure."""

    steps: int
    """Length of the run."""

    max_minutes: float | None = None
    """Training time (reading pictures and validating not counted) that ends the run earlier,
    its schedule completed inside it."""

    seed: int = 0
    """Of weights and crops."""

    precision: str = "bf16"
    """`bf16` (autocast) or `fp32`."""

    validate_every: int = 1000
    """Steps between validations."""

    save_every: int = 500
    """Steps between checkpoints."""

    data: DataConfig = DataConfig()
    """Pictures and crops."""

    loss: LossConfig = LossConfig()
    """Loss weights."""

    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer and schedule."""

    def __post_init__(self) -> None:
        if self.precision not in ("bf16", "fp32"):
            raise ConfigError(f"precision is {self.precision!r}: choose bf16 or fp32")
        if min(self.steps, self.validate_every, self.save_every) < 1:
            raise ConfigError(
                f"steps is {self.steps}, validate_every {self.validate_every} and save_every "
                f"{self.save_every}: all must be at least 1"
            )
        if self.max_minutes is not None and not 0 < self.max_minutes < math.inf:
            raise ConfigError(f"max_minutes is {self.max_minutes}: it must be positive")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed is {self.seed}: it must be from 0 to 2**63 - 1")
        multiple = self.generator.size_multiple_px
        if self.data.patch_lr_px % multiple:
            raise ConfigError(
                f"data: patch_lr_px is {self.data.patch_lr_px}: preset {self.preset!r} needs a "
                f"multiple of {multiple}"
            )

    @property
    def generator(self) -> GeneratorConfig:
        """The structure that `preset` names."""
        return preset(self.preset)

    def with_data(self, train: tuple[str, ...], validation: tuple[str, ...]) -> TrainConfig:
        """The same run on other folders."""
        return replace(self, data=replace(self.data, train=train, validation=validation))


def read_config(recipe: str) -> TrainConfig:
    """Read a TOML file, or a shipped recipe by its name.

    Raises:
        ConfigError: there is no such file or recipe, it is not TOML, or a setting is wrong.
        MissingDependency: Python 3.10 has no TOML reader of its own.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        require("tomli", extra="train")
        import tomli as tomllib

    shipped = {path.stem: path for path in sorted(RECIPES_FOLDER.glob("*.toml"))}
    path = shipped.get(recipe, Path(recipe))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{recipe} is neither a file nor a shipped recipe ({', '.join(shipped)})"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not a readable TOML file: {error}") from error
    return from_mapping(TrainConfig, values, where=str(path))
