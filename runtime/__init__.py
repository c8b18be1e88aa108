"""Enlarge pictures with an exported model: needs neither torch nor onnx."""
