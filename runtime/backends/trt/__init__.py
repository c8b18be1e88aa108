"""Classic TensorRT and TensorRT-RTX behind one interface, across API versions.

May import what `backends` may, and its other modules but `select`.
"""
