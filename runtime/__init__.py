"""Upscales pictures and videos with an exported model.

May import neither another room nor torch, onnx or safetensors.
"""

import os

# Since 1.32, ONNX Runtime sends telemetry about models and runs, stores an identifier in the user's
# home, and complains on standard error if it cannot. To allow it, set this to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
