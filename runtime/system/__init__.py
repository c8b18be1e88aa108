"""The machine underneath: atomic files, CPU cores, installed packages.

May import `errors` only.
"""
