"""What a run is to do and what came of it: the plan, target names, results, the journal.

May import `codecs`, `tiles` and what is below them; not `backends`.
"""
