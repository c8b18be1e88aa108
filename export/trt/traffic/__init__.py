"""GPU memory traffic of an engine, read from the log of a real build; needs no GPU.

May import `builder`, `passes`, and what these may.
"""
