"""A run on the machines of a Ray cluster: workers on them, and the one that directs them.

May import every package of `runtime`; only `runtime.cli` imports this one.
"""
