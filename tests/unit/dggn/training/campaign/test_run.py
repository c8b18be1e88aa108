"""The recipes of the campaigns, and what their runs start from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dggn.training.campaign.run import RECIPES_FOLDER, Campaign, CampaignOptions
from dggn.training.campaign.stages import CampaignName
from runtime.errors import ConfigError
from tests.support.paper import EQ_6_TERMS


def test_campaign_recipes_are_read_and_complete() -> None:
    from dggn.training.config import read_config

    recipes = RECIPES_FOLDER
    names = ("psnr", "gan", "lite", "ablation-psnr", "ablation-gan")
    psnr, gan, lite, one, two = (read_config(str(recipes / f"{name}.toml")) for name in names)
    assert (psnr.preset, gan.preset, lite.preset) == ("dggn", "dggn", "dggn-lite")
    # The ablation takes away the branch and its terms, and nothing else.
    assert replace(one, gradient_branch=True, loss=psnr.loss) == psnr
    without = replace(two, gradient_branch=True, fusion_only_steps=gan.fusion_only_steps)
    assert replace(without, loss=gan.loss) == gan
    terms = (two.loss.gradient, two.loss.gradient_adversarial, two.loss.branch_gradient)
    assert terms == (0, 0, 0)
    assert {name for name, weight in vars(gan.loss).items() if weight} == EQ_6_TERMS


def test_photo_recipes_are_of_the_same_network_and_targets() -> None:
    from dggn.training.config import read_config

    photo, gan = (
        read_config(str(RECIPES_FOLDER / f"{name}.toml")) for name in ("photo", "photo-gan")
    )
    assert photo.preset == gan.preset == "dggn-photo"
    assert photo.data.target == gan.data.target == "teacher"
    assert all(vars(gan.loss).values())


@pytest.mark.parametrize("name", ["psnr", "gan", "lite"])
def test_a_run_starts_from_the_model_that_is_named(
    name: CampaignName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def watch(self: Campaign, command: list[str], **more: Any) -> int:
        commands.append(command)
        return 0

    monkeypatch.setattr(Campaign, "_watch", watch)
    monkeypatch.setattr(Campaign, "_report", lambda *_: 0)
    options = CampaignOptions(
        name=name, data=tmp_path, output=tmp_path / "out", work=tmp_path, start=Path("some-model")
    )
    assert Campaign(options, lambda line: None).run() == 0
    _, training = commands
    assert training[training.index("--from") + 1] == "some-model"
    if name == "lite":
        Campaign(replace(options, start=None), lambda line: None).run()
        assert "--from" not in commands[-1]


def test_photo_campaigns_learn_from_all_taught_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def watch(self: Campaign, command: list[str], **more: Any) -> int:
        commands.append(command)
        if "realistic" in command:
            Path(command[-1]).mkdir()
        return 0

    monkeypatch.setattr(Campaign, "_watch", watch)
    monkeypatch.setattr(Campaign, "_report", lambda *_: 0)
    options = CampaignOptions(
        name="photo", data=tmp_path / "data", output=tmp_path / "out", work=tmp_path
    )
    with pytest.raises(ConfigError, match=r"taught contains no taught set: make some"):
        Campaign(options, lambda line: None).run()
    for number in (1, 2):
        folder = tmp_path / "data" / "taught" / f"set-{number}"
        folder.mkdir(parents=True)
        (folder / "taught.jsonl").touch()
    assert Campaign(options, lambda line: None).run() == 0
    made, *trained = commands
    assert made[3:5] == ["realistic", str(tmp_path / "data" / "val")]
    (training,) = trained  # the realistic pictures were there already
    folders = [training[at + 1] for at, one in enumerate(training) if one == "--train"]
    assert folders == [str(tmp_path / "data" / "taught" / f"set-{number}") for number in (1, 2)]
    assert training[training.index("--validation") + 1] == str(tmp_path / "realistic")


def test_two_structures_start_from_no_model(tmp_path: Path) -> None:
    options = CampaignOptions(
        name="ablation", data=tmp_path, output=tmp_path / "out", start=Path("some-model")
    )
    with pytest.raises(ConfigError, match="ablation trains two structures, and --start names one"):
        Campaign(options, lambda line: None).run()
    assert not (tmp_path / "out").exists()
