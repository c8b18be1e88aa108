"""INT8 calibration of exported models: explicit Q/DQ nodes, placed by measurement.

May import `dggn.onnx_graph`, other modules of `dggn`, and `runtime`; not `export`.
"""
