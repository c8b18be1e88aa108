"""The plan of a run and its outcome: jobs, target names, results, the journal.

May import `codecs`, `tiles` and what is below them; not `backends`.
"""
