"""Upscales pictures with an exported model; needs neither torch nor onnx."""

import os

# Since 1.32, ONNX Runtime tells its maker of models and runs, keeps a number for that in the user's
# home, and complains on standard error where it cannot. Who wants it sets this to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
