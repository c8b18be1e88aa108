"""ONNX graph surgery shared by export and calibration, without torch.

May import `runtime.errors`, `runtime.model` and `runtime.image`; nothing else of this project.
"""
