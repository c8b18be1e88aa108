"""Pictures in memory, whole or in strips: colour, transparency, resizing.

May import `errors` only.
"""
