"""Loss configuration: the weights of Eq. 6, the perceptual network, the critics."""

from __future__ import annotations

from dataclasses import dataclass, fields

from runtime.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the terms of Eq. 6; a term whose weight is 0 is not computed.

    The defaults are those of fidelity training: two terms, no critics.
    """

    perceptual: float = 0.0
    """Theta: L1 between features of a perceptual network (Eq. 7)."""

    pixel: float = 1.0
    """Alpha: L1 between the pictures."""

    gradient: float = 0.0
    """Mu: mean squared error between the pictures' gradient magnitudes."""

    adversarial: float = 0.0
    """Beta: the image critic's score."""

    gradient_adversarial: float = 0.0
    """Epsilon: the gradient critic's score of the pictures' gradient magnitudes."""

    branch_gradient: float = 0.1
    """Eta: L1 between the gradient branch's prediction and the HR gradient magnitude."""

    phase: float = 0.0
    """Not the paper's: L1 between the local means of the 64 sub-pixel phases (`phase_means`). It
    keeps flat colours true, and patterns out that are the same in every block of 8x8."""

    grid: float = 0.0
    """Not the paper's: by how much the detail of the 64 phases differs more than in the target
    (`grid_excess`). It weakens patterns of 4 and 8 pixels, which a perceptual network asks for."""

    spectrum: float = 0.0
    """Not the paper's: difference of the logarithms of local power spectra (`spectrum_distance`).
    It asks for texture of every frequency, without asking where."""

    def __post_init__(self) -> None:
        weights = {field.name: getattr(self, field.name) for field in fields(self)}
        negative = [f"{name} is {weight}" for name, weight in weights.items() if weight < 0]
        if negative:
            raise ConfigError(f"{', '.join(negative)}: a weight must not be negative")
        if not any(weights[name] for name in weights if name != "branch_gradient"):
            raise ConfigError(
                "no weight but branch_gradient is positive: nothing would train the pictures"
            )


PERCEPTUAL_NETWORKS = ("vgg19", "squeezenet")
COMPARISONS = ("values", "directions")


@dataclass(frozen=True, kw_only=True)
class PerceptualConfig:
    """Network whose features the perceptual loss compares."""

    network: str = "vgg19"
    """`vgg19` (the paper) or `squeezenet` (SqueezeNet 1.0)."""

    weights: str | None = None
    """Weights file; without one, VGG19's are downloaded once through torch.hub."""

    compare: str = "values"
    """`values`: L1 between features (Eq. 7); `directions`: squared difference of features scaled to
    unit length at each pixel, summed over layers (LPIPS without its learnt weights: Zhang et al.,
    CVPR 2018). The second has one scale for all layers, and does not reward contrast."""

    layers: tuple[str, ...] = ()
    """Layers to compare, such as `conv5_4` or `fire9`; these two are the defaults."""

    pictures: int = 0
    """Pictures of each batch that are compared, the first ones; 0: all. The network costs several
    times as much as a small generator."""

    def __post_init__(self) -> None:
        if self.network not in PERCEPTUAL_NETWORKS:
            raise ConfigError(
                f"network is {self.network!r}: choose one of {', '.join(PERCEPTUAL_NETWORKS)}"
            )
        if self.compare not in COMPARISONS:
            raise ConfigError(
                f"compare is {self.compare!r}: choose one of {', '.join(COMPARISONS)}"
            )
        if self.pictures < 0:
            raise ConfigError(f"pictures is {self.pictures}: it must not be negative")
        if self.network == "squeezenet" and self.weights is None:
            raise ConfigError("squeezenet's weights are not downloaded: name their .npz file")


@dataclass(frozen=True, kw_only=True)
class CriticConfig:
    """Both critics and their training (WGAN-GP: Gulrajani et al., 2017)."""

    width: int = 64
    """Channels after the first convolution."""

    steps: int = 5
    """Critic steps per generator step, each on a batch of its own."""

    penalty: float = 10.0
    """Weight of the gradient penalty."""

    learning_rate: float = 1e-4
    """Learning rate, which follows the generator's schedule."""

    beta1: float = 0.0
    """Adam's decay of the first moment."""

    beta2: float = 0.9
    """Adam's decay of the second moment."""

    largest_loss: float = 1e5
    """Limit on the absolute loss of a critic, beyond which the run ends as diverged."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.steps < 1:
            raise ConfigError(
                f"width is {self.width} and steps {self.steps}: both must be at least 1"
            )
        if min(self.penalty, self.learning_rate, self.largest_loss) <= 0:
            raise ConfigError(
                f"penalty is {self.penalty}, learning_rate {self.learning_rate} and largest_loss "
                f"{self.largest_loss}: all must be positive"
            )
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: expected 0 <= {name} < 1")
