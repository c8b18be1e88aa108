"""Image quality metrics as the field reports them.

May import `data`, `model` and `runtime`; of `training` only the feature network.
"""
