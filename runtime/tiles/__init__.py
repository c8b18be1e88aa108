"""Tiled inference: the backend protocol, tile planning and stitching.

May import `image`, `model`, `system` and `errors`; not `codecs`.
"""
