"""Builds TensorRT engines from ONNX files: graph passes, builder, verification."""
