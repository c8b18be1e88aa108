"""Running `dggn-run`: batch, pipeline, strips, clips, the dry run, stop signals.

The plan is in `jobs`, the output for users in `report`. May import every package of
`runtime`; only `runtime.cluster` and `runtime.cli` import this one.
"""
