from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")

from dggn.metrics.costs import TABLE_4, Costs, costs_of, costs_report, parse_size
from dggn.model.checkpoint import save_generator
from dggn.model.complexity import flops, parameter_count, receptive_field_px
from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator
from runtime.errors import ConfigError, ModelError

OURS = Costs(name="ours", parameters_m=14.657, gflops=23.584, receptive_field_px=120)


def test_table_4_is_the_papers() -> None:
    published = {row.name: (row.parameters_m, row.gflops) for row in TABLE_4}
    assert len(published) == 6
    assert published["DGGN"] == (14.6, 23.7)
    assert published["SPSR"] == (24.8, 265.1)
    assert all(row.published for row in TABLE_4)


def test_costs_of_a_checkpoint(tmp_path: Path, tiny_config: GeneratorConfig) -> None:
    generator = Generator(tiny_config)
    save_generator(tmp_path / "tiny.safetensors", generator)
    (costs,) = costs_of([str(tmp_path / "tiny.safetensors")], (50, 40))
    assert costs.name == "tiny"
    assert costs.parameters_m * 1e6 == pytest.approx(parameter_count(generator))
    assert costs.gflops * 1e9 == pytest.approx(flops(generator, 50, 40))
    assert costs.receptive_field_px == receptive_field_px(tiny_config, squeeze_excitation=False)
    assert costs.receptive_field_se_px is not None
    assert costs.receptive_field_se_px > costs.receptive_field_px


def test_published_rows_are_marked() -> None:
    text = costs_report([OURS], (50, 50), "table")
    assert "GFLOPs at 50x50" in text
    ours, *published = text.splitlines()[1:]
    assert ours.split() == ["ours", "14.66", "23.58", "120", "-", "measured"]
    assert len(published) == 6
    assert all(line.endswith("published (Table 4)") for line in published)
    assert published[-1].split()[:3] == ["DGGN", "14.6", "23.7"]
    markdown = costs_report([OURS], (64, 48), "markdown").splitlines()
    assert markdown[0].startswith("| model | parameters (M) | GFLOPs at 64x48 |")
    assert markdown[2] == "| ours | 14.66 | 23.58 | 120 | - | measured |"
    # The published figures are for another size.
    assert markdown[-1] == "| DGGN | 14.6 | - | - | - | published (Table 4) |"
    report = json.loads(costs_report([OURS], (64, 48), "json"))
    assert report["size_hw"] == [64, 48]
    assert [row["published"] for row in report["models"]] == [False] + 6 * [True]


def test_an_unknown_model_is_told_what_there_is() -> None:
    with pytest.raises(ModelError, match=r"neither a file .*, nor a preset \(dggn, dggn-lite, "):
        costs_of(["dgn"], (50, 50))


def test_sizes() -> None:
    assert parse_size("50x40") == (50, 40)
    for text in ("50", "50x", "x50", "0x50", "-1x5", "50x50x50", "²x5"):
        with pytest.raises(ConfigError, match="expected HEIGHTxWIDTH"):
            parse_size(text)
