"""Plots the curves of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dggn.training.log import Record
from dggn.training.loss_config import LossConfig
from runtime.errors import ConfigError, TargetError

CURVES_NAME = "curves.png"

PANELS = {
    "generator": ("loss", *(field.name for field in fields(LossConfig))),
    "critics": ("image_critic", "image_penalty", "gradient_critic", "gradient_penalty"),
    "PSNR (dB)": ("psnr_db",),
    "SSIM": ("ssim",),
    "learning rate": ("learning_rate",),
}
"""Panels by title, with the record entries that each shows."""


def draw_curves(records: Sequence[Record], target: Path, *, title: str) -> None:
    """Write a PNG with a panel for each group of values in the run.

    Args:
        records: the run's log.
        target: the file.
        title: title above the panels.

    Raises:
        ConfigError: the log is empty.
        TargetError: the file cannot be written.
    """
    if not records:
        raise ConfigError("the log of this run is empty so far: plot it after its first records")
    known = {name for record in records for name in record}
    panels = {
        panel: present
        for panel, names in PANELS.items()
        if (present := [name for name in names if name in known])
    }
    figure = Figure(figsize=(9, 2.6 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (panel, names) in zip(axes, panels.items(), strict=True):
        for name in names:
            _draw(axis, records, name)
        axis.set_ylabel(panel)
        axis.grid(alpha=0.3)
        if len(names) > 1:
            # Beside the curves: inside, seven names would hide some of them.
            axis.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    axes[-1].set_xlabel("step")
    # Adversarial terms and critics take either sign, and all terms have scales of their own.
    for panel in ("generator", "critics"):
        if panel in panels:
            axes[list(panels).index(panel)].set_yscale("symlog", linthresh=1e-3)
    try:
        figure.savefig(target, format="png", dpi=110)
    except OSError as error:
        raise TargetError(f"{target} cannot be written: {error.strerror or error}") from error


def _draw(axis: Axes, records: Sequence[Record], name: str) -> None:
    points = [(record["step"], record[name]) for record in records if name in record]
    steps, values = zip(*points, strict=True)
    axis.plot(steps, values, label=name, linewidth=1.2, marker="." if len(points) < 40 else None)
