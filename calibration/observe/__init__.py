"""Ranges of activations over the calibration tiles.

May import `prepare`.
"""
