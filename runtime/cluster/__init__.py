"""Runs on the machines of a Ray cluster: the workers, and the driver that directs them.

May import every package of `runtime`; only `runtime.cli` imports this one.
"""
