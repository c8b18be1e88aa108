"""A run of `dggn-run`: plans it, pipelines pictures through decode, upscale and encode, reports.

May import every package of `runtime`; only `runtime.cluster` and
`runtime.cli` import this one.
"""
