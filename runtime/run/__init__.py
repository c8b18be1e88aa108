"""A run of `dggn-run` in motion: batch, pipeline, strips, clips, the dry run, stop signals.

What is to be done is in `jobs`, what is said of it in `report`. May import every package of
`runtime`; only `runtime.cluster` and `runtime.cli` import this one.
"""
