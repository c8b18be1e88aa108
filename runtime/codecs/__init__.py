"""Picture files: reading and writing every format, with profiles, metadata and frames.

May import `image`, `model`, `system` and `errors`; not `tiles`.
"""
