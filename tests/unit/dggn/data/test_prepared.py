from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dggn.data.folder import read_rgb
from dggn.data.prepared import map_ppm, read_manifest, write_ppm
from runtime.errors import ImageReadError, TargetError


def test_ppm_round_trip(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    path = tmp_path / "folder" / "photo.ppm"
    write_ppm(path, photo[:, :100])
    assert np.array_equal(read_rgb(path), photo[:, :100])
    mapped = map_ppm(path, 96, 100)
    assert np.array_equal(mapped, photo[:, :100])
    assert not mapped.flags.writeable
    assert [file.name for file in path.parent.iterdir()] == ["photo.ppm"]


def test_missing_and_short_files(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    write_ppm(tmp_path / "photo.ppm", photo)
    for name, height in (("photo", 97), ("none", 96)):
        with pytest.raises(ImageReadError, match=f"{name}.ppm is missing or damaged"):
            map_ppm(tmp_path / f"{name}.ppm", height, 112)


def test_a_folder_that_cannot_be_written(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TargetError, match="cannot be written"):
        write_ppm(tmp_path / "file" / "photo.ppm", photo)


def test_no_set(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
