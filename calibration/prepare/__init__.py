"""The float32 model and the tiles, ready for calibration.

May import none of the other stages.
"""
