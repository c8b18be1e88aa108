"""User-facing output of a run: progress, console lines, the JSON summary and the HTML page.

May import `jobs`, `backends`, `codecs`, `tiles` and what is below them; not `upscaler`.
"""
