"""LPIPS, NIQE and PI through the real pyiqa, on weights made up in its authors' layout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

if find_spec("pyiqa") is None:
    pytest.skip("needs the metrics extra", allow_module_level=True)

MAKE_WEIGHTS = """
import sys
from pathlib import Path
import numpy as np, scipy.io, torch, torchvision

home = Path(sys.argv[1]) / "hub"
(home / "checkpoints").mkdir(parents=True)
(home / "pyiqa").mkdir()
torch.manual_seed(0)
alexnet = torchvision.models.alexnet(weights=None).state_dict()
torch.save(alexnet, home / "checkpoints" / "alexnet-owt-7be5be79.pth")
widths = (64, 192, 384, 256, 256)
lpips = {f"lin{i}.model.1.weight": torch.rand(1, width, 1, 1) for i, width in enumerate(widths)}
torch.save(lpips, home / "pyiqa" / "LPIPS_v0.1_alex-df73285e.pth")
random = np.random.default_rng(0)
square = random.normal(size=(36, 36))
niqe = {"mu_prisparam": random.normal(size=(1, 36)), "cov_prisparam": square @ square.T}
scipy.io.savemat(home / "pyiqa" / "niqe_modelparameters.mat", niqe)
# Three forests of one leaf each: 4, 5 and 6.
forests = np.empty((1, 3), object)
zero, one = np.zeros((1, 1)), np.ones((1, 1), np.int64)
for number in range(3):
    forests[0, number] = np.empty((1, 1), [(name, object) for name in "abcdefg"])
    forests[0, number][0, 0] = (zero, zero, zero, zero, zero, np.full((1, 1), 4.0 + number), one)
model = {"linear": np.array([[0.0], [0.3], [0.3], [0.4]]), "rf": forests}
scipy.io.savemat(home / "pyiqa" / "NRQM_model.mat", {"model": model})
"""


def _images(folder: Path, hr: str, sr: str) -> subprocess.CompletedProcess[str]:
    code = "from dggn.metrics.cli import app; app()"
    return subprocess.run(
        [sys.executable, "-c", code, "images", hr, sr, "--perceptual", "--json"],
        cwd=folder,
        env={**os.environ, "TORCH_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow
def test_scores_of_the_real_library(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (208, 208, 3), np.uint8)
    framed = picture.copy()
    framed[:4] = framed[-4:] = 0
    framed[:, :4] = framed[:, -4:] = 0
    for name, image in (("hr", picture), ("framed", framed)):
        (tmp_path / name).mkdir()
        Image.fromarray(image).save(tmp_path / name / "one.png")
    made = subprocess.run(
        [sys.executable, "-c", MAKE_WEIGHTS, str(tmp_path / "home")], capture_output=True, text=True
    )
    if "nms" in made.stderr:
        pytest.skip("torchvision is not the one that belongs to torch")
    assert made.returncode == 0, made.stderr
    means = []
    for name in ("hr", "framed"):
        done = _images(tmp_path, "hr", name)
        assert done.returncode == 0, done.stderr
        means.append(json.loads(done.stdout)["benchmarks"][0]["mean"])
    same, other = means
    assert same["lpips"] == 0 < other["lpips"]
    # Without the border of 4, both are the same picture.
    assert same["niqe"] == other["niqe"] > 0
    # PI is (10 - Ma + NIQE) / 2, and the leaves determine Ma.
    assert same["pi"] == other["pi"] == pytest.approx((10 - 5.1 + same["niqe"]) / 2, abs=1e-3)
    (tmp_path / "home" / "hub" / "pyiqa" / "niqe_modelparameters.mat").write_bytes(b"damaged")
    done = _images(tmp_path, "hr", "hr")
    assert done.returncode == 3
    assert "the weights of niqe cannot be loaded" in done.stderr
    assert "Traceback" not in done.stderr
