"""Training and evaluation pictures: crops, reductions, degradations, prepared sets.

May import `model.config`, `dggn.settings` and `runtime`; not `training`.
"""
