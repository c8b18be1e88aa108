"""Tiled inference: the backend protocol, tile planning and stitching.

Tiles overlap by the halo that the model's file states (`model.info`), or by `--overlap`.

May import `image`, `model`, `system` and `errors`; not `codecs`.
"""
