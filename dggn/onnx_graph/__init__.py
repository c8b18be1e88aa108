"""ONNX graphs as data: what export and calibration both do to them, without torch.

May import `runtime.errors`, `runtime.model` and `runtime.image`; nothing else of this project.
"""
