"""Builds TensorRT engines from ONNX files: graph passes, builder, verification.

May import `dggn.onnx_graph` and `runtime`, and needs no torch.
"""
