"""Picture files: reads and writes every format, with profiles, metadata and frames.

`decode` and `encode` choose the way. `tiff_*`, `png_*` and their like know a format's structure;
`pil` gathers metadata from `exif`, `iptc` and `xmp_text`. Finds the colours that a file states;
`image` converts them. May import `image`, `model`, `system` and `errors`; not `tiles`.
"""
