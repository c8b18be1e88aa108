"""Ranges of activations over the tiles.

May import `prepare`.
"""
