"""Searches for the layers to quantize, by building, measuring and comparing mixes.

May import `observe` and `prepare`.
"""
