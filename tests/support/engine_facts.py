"""Facts of an engine that exists only in tests."""

from __future__ import annotations

import hashlib

from runtime.backends.gpu import Gpu
from runtime.backends.trt.engine_facts import EngineFacts, Verification
from runtime.backends.trt.request import EngineRequest
from runtime.model.info import ModelInfo

PLAN = b"a plan"
MODEL = hashlib.sha256(b"a model").hexdigest()
INFO = ModelInfo(
    preset="dggn-lite",
    scale=4,
    sample_type="uint8",
    size_multiple_px=8,
    halo_px=16,
    origin="a test",
)
REQUEST = EngineRequest(
    flavor="tensorrt",
    precision="fp16",
    sample_type="uint8",
    tile_px=256,
    batch=4,
    targets=("sm86",),
)
GPU = Gpu(
    index=0, name="Card", compute_capability=(8, 6), memory_bytes=1 << 30, cuda_version="12.8"
)
FACTS = EngineFacts(
    onnx_sha256=MODEL,
    onnx_name="dggn-lite.onnx",
    plan_sha256=hashlib.sha256(PLAN).hexdigest(),
    plan_bytes=len(PLAN),
    request=REQUEST,
    precision="fp16",
    tile_px=256,
    batch=4,
    library_version="10.7.0",
    gpu_name="Card",
    cuda_version="12.8",
    least_px=8,
    profiles=1,
    info=INFO,
    largest_activation=5.5,
    verification=None,
)
FOUND = Verification(psnr_db=75.7, within_one_level=0.9999, largest_difference=1.0, samples=100)
