"""The little of CUDA that inference needs, over one of two Python packages.

May import `errors` only.
"""
