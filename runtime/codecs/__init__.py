"""Picture files: reads and writes every format, with profiles, metadata and frames.

Finds the colours that a file states; `image` converts them. May import `image`, `model`, `system`
and `errors`; not `tiles`.
"""
