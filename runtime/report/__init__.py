"""What a run tells people: progress, console lines, the summary file and the HTML page.

May import `jobs`, `backends`, `codecs`, `tiles` and what is below them; not `upscaler`.
"""
