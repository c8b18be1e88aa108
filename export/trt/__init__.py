"""From an ONNX file to a TensorRT engine: graph passes, the builder, and verification."""
