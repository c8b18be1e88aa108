from __future__ import annotations

import logging
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")

from dggn.training import log as log_module
from dggn.training.log import LOG_NAME, TENSORBOARD_FOLDER, Log, read_log
from runtime.errors import ConfigError, TargetError


@pytest.fixture(autouse=True)
def _without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faster without; one test below uses it."""
    monkeypatch.setattr(log_module, "find_spec", lambda name: None)


def test_repeated_steps_are_logged_once(tmp_path: Path) -> None:
    with Log(tmp_path, 0) as log:
        for step in (1, 2, 3):
            log.write({"step": step, "loss": 1.0})
    # A kill in the middle of a line.
    with (tmp_path / LOG_NAME).open("a") as file:
        file.write('{"step": 4, "lo')
    with Log(tmp_path, 2) as log:
        log.write({"step": 3, "loss": 2.0})
    assert read_log(tmp_path) == [
        {"step": 1, "loss": 1.0},
        {"step": 2, "loss": 1.0},
        {"step": 3, "loss": 2.0},
    ]


def test_tensorboard_gets_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard", reason="needs the train extra")
    monkeypatch.undo()
    with Log(tmp_path, 0) as log:
        log.write({"step": 7, "loss": 1.5, "psnr_db": 30.0})
    (events,) = (tmp_path / TENSORBOARD_FOLDER).iterdir()
    content = events.read_bytes()
    assert b"loss" in content
    assert b"psnr_db" in content


def test_without_tensorboard_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), Log(tmp_path, 0) as log:
        log.write({"step": 1})
    assert "tensorboard is not installed" in caplog.text
    assert not (tmp_path / TENSORBOARD_FOLDER).exists()


def test_folders_without_a_log_and_damaged_logs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name the folder of a run"):
        read_log(tmp_path)
    (tmp_path / LOG_NAME).write_text("{\n")
    with pytest.raises(ConfigError, match="is damaged"):
        read_log(tmp_path)
    (tmp_path / LOG_NAME).write_text('{"loss": 1}\n')
    with pytest.raises(ConfigError, match="is damaged"):
        read_log(tmp_path)


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    with (
        Log(tmp_path / "gone", 0) as log,
        pytest.raises(TargetError, match="cannot be written"),
    ):
        log.write({"step": 1})
