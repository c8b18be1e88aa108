"""Graph passes: from the ONNX file to the graph that a TensorRT builder gets.

May import `dggn.onnx_graph` and `runtime`; not `builder`.
"""
