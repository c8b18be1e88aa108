"""Backends that super-resolve tiles: ONNX Runtime, OpenVINO, TensorRT, and several devices.

Here models are fetched, and engines are found and verified; `export.trt` builds them. May import
`codecs`, `tiles` and what is below them; not `jobs`.
"""
