"""Exports checkpoints to ONNX and TensorRT, verifying each file before it is kept."""
