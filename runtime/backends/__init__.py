"""Backends that super-resolve tiles: ONNX Runtime, OpenVINO, TensorRT, and several devices.

May import `codecs`, `tiles` and what is below them; not `jobs`.
"""
