"""Configuration of a training run, parsed from TOML."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from dggn.data.degrade import check_degradation
from dggn.data.taught import check_target
from dggn.model.config import GeneratorConfig, preset
from dggn.settings import from_mapping
from dggn.training.loss_config import CriticConfig, LossConfig, PerceptualConfig
from runtime.errors import ConfigError
from runtime.system.package import require

RECIPES_FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Training pictures and cropping."""

    train: tuple[str, ...] = ()
    """Folders of HR training pictures."""

    validation: tuple[str, ...] = ()
    """Folders of HR pictures used for all selection; may be empty."""

    patch_lr_px: int = 48
    """Side of an LR crop (48 in the paper, Section 4.2)."""

    batch_size: int = 8
    """Crops in a batch, over all processes."""

    degradation: str = "bicubic"
    """Degradation of LR crops: `bicubic` (the paper's) or `photo` (blur, noise and JPEG too)."""

    target: str = "original"
    """Target of crops from taught sets: `original` or `teacher` (`dggn-train teach`)."""

    originals: float = 0.0
    """With `teacher`: fraction of the crops, among pairs with an original, that use it as target
    instead.
    """

    rotate: bool = True
    """Whether to use all eight flips and rotations; false for horizontal flips only, as in the
    paper.
    """

    scale_jitter: float = 0.0
    """HR pictures are first reduced by a random factor between 1 minus this and 1."""

    resident: bool = False
    """Whether all pictures stay in the device's memory and crops are cut there: the same crops,
    made fast enough for any GPU.
    """

    def __post_init__(self) -> None:
        check_degradation(self.degradation)
        check_target(self.target, self.originals)
        if not 0 <= self.scale_jitter <= 0.75:
            raise ConfigError(f"scale_jitter is {self.scale_jitter}: expected 0 to 0.75")
        if self.patch_lr_px < 8 or self.batch_size < 1:
            raise ConfigError(
                f"patch_lr_px is {self.patch_lr_px} and batch_size {self.batch_size}: "
                "expected at least 8 and 1"
            )
        if self.resident and (self.degradation != "bicubic" or self.scale_jitter):
            raise ConfigError(
                f"resident is true, degradation {self.degradation!r} and scale_jitter "
                f"{self.scale_jitter}: resident pictures are only cut, flipped and turned. Set "
                "resident to false, or prepare reduced pictures too (`dggn-train prepare --scale`)"
            )


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The generator's optimizers, and the schedule of all learning rates."""

    learning_rate: float = 5e-4
    """Adam's learning rate at the end of the warm-up."""

    muon_learning_rate: float = 0.0
    """Learning rate of Muon for the kernels of convolutions, on the same schedule; 0 leaves them to
    Adam, as in the paper's predecessors.
    """

    schedule: str = "cosine"
    """Schedule after the linear warm-up: `cosine`, down to zero, or `halving`."""

    halve_at: tuple[int, ...] = (50_000, 100_000, 200_000, 300_000)
    """Steps at which `halving` halves the rate."""

    warmup_steps: int = 200
    """Steps over which the rate rises from zero."""

    beta1: float = 0.9
    """Adam's decay of the first moment."""

    beta2: float = 0.99
    """Adam's decay of the second moment."""

    clip_norm: float = 1.0
    """Maximum gradient norm."""

    ema_decay: float = 0.999
    """Decay of the exponential moving average of the weights, which is what is kept."""

    def __post_init__(self) -> None:
        if self.schedule not in ("cosine", "halving"):
            raise ConfigError(f"schedule is {self.schedule!r}: choose cosine or halving")
        if self.learning_rate <= 0 or self.clip_norm <= 0:
            raise ConfigError(
                f"learning_rate is {self.learning_rate} and clip_norm {self.clip_norm}: "
                "both must be positive"
            )
        if self.muon_learning_rate < 0:
            raise ConfigError(
                f"muon_learning_rate is {self.muon_learning_rate}: it must not be negative"
            )
        if self.warmup_steps < 0:
            raise ConfigError(f"warmup_steps is {self.warmup_steps}: it must not be negative")
        for name in ("beta1", "beta2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: expected 0 <= {name} < 1")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Configuration of one training run."""

    preset: str
    """Name of the generator's structure."""

    steps: int
    """Number of steps."""

    gradient_branch: bool = True
    """Whether the structure has a gradient branch; the paper's Table 1 removes it."""

    initial: str | None = None
    """Initial weights: a generator checkpoint, an exported or shipped model, or the folder of a
    run. The optimizer starts afresh, and `warmup_steps` gives it time.
    """

    fusion_only_steps: int = 0
    """Number of first steps that train only the fusion of the two branches."""

    max_minutes: float | None = None
    """Training time that ends the run early, with its schedule completed. Reading pictures and the
    last validation do not count.
    """

    seed: int = 0
    """Seed of weights and crops."""

    precision: str = "bf16"
    """`bf16` (autocast) or `fp32`."""

    compile: bool = False
    """Whether to compile the generator: slower to start, faster to train."""

    validate_every: int = 1000
    """Steps between validations."""

    save_every: int = 500
    """Steps between checkpoints."""

    save_every_minutes: float = 10.0
    """Minutes between checkpoints, if `save_every` steps take longer."""

    log_every: int = 100
    """Steps between log records."""

    samples: int = 4
    """Number of validation pictures on the sample sheet."""

    data: DataConfig = DataConfig()
    """Pictures and crops."""

    loss: LossConfig = field(default_factory=LossConfig)
    """Loss weights."""

    perceptual: PerceptualConfig = field(default_factory=PerceptualConfig)
    """Network for the perceptual loss."""

    critic: CriticConfig = field(default_factory=CriticConfig)
    """Critics, if the loss has adversarial terms."""

    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer and schedule."""

    def __post_init__(self) -> None:
        if self.precision not in ("bf16", "fp32"):
            raise ConfigError(f"precision is {self.precision!r}: choose bf16 or fp32")
        for name in ("steps", "validate_every", "save_every", "log_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if min(self.fusion_only_steps, self.samples) < 0:
            raise ConfigError(
                f"fusion_only_steps is {self.fusion_only_steps} and samples {self.samples}: "
                "neither may be negative"
            )
        if not 0 < self.save_every_minutes < math.inf:
            raise ConfigError(
                f"save_every_minutes is {self.save_every_minutes}: it must be positive"
            )
        if self.max_minutes is not None and not 0 < self.max_minutes < math.inf:
            raise ConfigError(f"max_minutes is {self.max_minutes}: it must be positive")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed is {self.seed}: it must be from 0 to 2**63 - 1")
        if not self.gradient_branch and self.fusion_only_steps:
            raise ConfigError(
                f"fusion_only_steps is {self.fusion_only_steps}: without a gradient branch nothing "
                "is fused"
            )
        multiple = self.generator.size_multiple_px
        if self.data.patch_lr_px % multiple:
            raise ConfigError(
                f"data: patch_lr_px is {self.data.patch_lr_px}: preset {self.preset!r} needs a "
                f"multiple of {multiple}"
            )

    @property
    def generator(self) -> GeneratorConfig:
        """The structure described by `preset` and `gradient_branch`."""
        structure = preset(self.preset)
        return structure if self.gradient_branch else replace(structure, gradient_units=0)

    @property
    def batches_per_step(self) -> int:
        """Batches per step: one for the generator, and one for each critic step."""
        adversarial = self.loss.adversarial or self.loss.gradient_adversarial
        return 1 + (self.critic.steps if adversarial else 0)

    def with_data(self, train: tuple[str, ...], validation: tuple[str, ...]) -> TrainConfig:
        """Return the same configuration with other folders."""
        return replace(self, data=replace(self.data, train=train, validation=validation))


def read_config(recipe: str) -> TrainConfig:
    """Read a TOML file, or a shipped recipe by name.

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
