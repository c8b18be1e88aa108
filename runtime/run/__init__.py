"""A run of `dggn-run`: plans it, pipelines pictures through decode, upscale and encode, reports.

May import every package of `runtime`; only `runtime.cli` imports this one.
"""
