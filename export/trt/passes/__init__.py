"""Graph passes from the ONNX file to the graph for a TensorRT builder.

May import `dggn.onnx_graph` and `runtime`; not `builder`.
"""
