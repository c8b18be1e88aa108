"""The campaigns, and the training runs that each consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CampaignName = Literal["psnr", "gan", "ablation", "lite", "photo", "photo-gan"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training run."""

    run: str
    """Name of its folders in WORK and OUTPUT."""

    recipe: str
    """Name of its recipe, without the extension."""

    start: str | None = None
    """Run whose weights it starts from."""

    replaces_start: bool = False
    """Whether this run replaces the one it starts from in OUTPUT."""

    taught: bool = False
    """Whether it learns from taught sets and is measured on realistic photographs."""


CAMPAIGNS: dict[CampaignName, tuple[Stage, ...]] = {
    "psnr": (Stage(run="psnr", recipe="psnr"),),
    "gan": (Stage(run="gan", recipe="gan", start="psnr"),),
    "lite": (Stage(run="lite", recipe="lite"),),
    "photo": (Stage(run="photo", recipe="photo", taught=True),),
    "photo-gan": (Stage(run="photo-gan", recipe="photo-gan", start="photo", taught=True),),
    # Stage by stage, so that both arms have come equally far when the time runs out.
    "ablation": (
        Stage(run="with-psnr", recipe="psnr"),
        Stage(run="without-psnr", recipe="ablation-psnr"),
        Stage(run="with-gan", recipe="gan", start="with-psnr", replaces_start=True),
        Stage(run="without-gan", recipe="ablation-gan", start="without-psnr", replaces_start=True),
    ),
}
