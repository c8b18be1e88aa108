"""Exports checkpoints to ONNX and TensorRT, verifying each file before it is kept.

May import `dggn` and `runtime`; not `calibration`.
"""
