"""Prepares the float32 model and the calibration tiles.

May import none of the other stages.
"""
