"""Building engines: a graph becomes a plan, which is verified before it is kept.

May import `passes`, and what that may.
"""
