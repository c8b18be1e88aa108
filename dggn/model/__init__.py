"""The generator: configuration, modules, weight files.

May import `dggn.settings` and `runtime`; none of the packages beside it.
"""
