"""The machine and installation: atomic files, CPU cores, installed packages.

May import `errors` only.
"""
