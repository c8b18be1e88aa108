"""What super-resolves tiles: ONNX Runtime, TensorRT, several devices, and the choice among them.

May import `codecs`, `tiles` and what is below them; not `jobs`.
"""
