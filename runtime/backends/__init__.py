"""Backends that super-resolve tiles: ONNX Runtime, TensorRT, several devices, and the choice.

May import `codecs`, `tiles` and what is below them; not `jobs`.
"""
