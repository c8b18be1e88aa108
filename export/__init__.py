"""Checkpoint to ONNX file, verified before it is kept."""
