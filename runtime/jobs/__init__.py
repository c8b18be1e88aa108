"""What a run is to do and what became of it: the plan, target names, results, the journal.

May import `codecs`, `tiles` and what is below them; not `backends`.
"""
