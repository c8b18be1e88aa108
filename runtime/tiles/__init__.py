"""Tiled inference: the backend protocol, where tiles lie, and how results are put together.

May import `image`, `model`, `system` and `errors`; not `codecs`.
"""
