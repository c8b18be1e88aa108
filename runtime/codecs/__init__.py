"""Picture files: reads and writes every format, with profiles, metadata and frames.

May import `image`, `model`, `system` and `errors`; not `tiles`.
"""
