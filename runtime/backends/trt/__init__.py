"""TensorRT, classic and for RTX, as one library with several ages of API.

May import what `backends` may, and its other modules but `select`.
"""
