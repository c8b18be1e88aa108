"""Which layers become INT8: mixes of layers are built, measured and compared.

May import `observe` and `prepare`.
"""
