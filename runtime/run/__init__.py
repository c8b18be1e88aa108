"""A run of `dggn-run`: planning, the decode-upscale-encode pipeline, and reporting.

May import every package of `runtime`; only `runtime.cluster` and
`runtime.cli` import this one.
"""
