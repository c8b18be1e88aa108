"""The machine and installation: atomic and locked files, CPU cores, memory, packages, terminals.

May import `errors` only.
"""
