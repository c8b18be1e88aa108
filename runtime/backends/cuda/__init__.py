"""A minimal CUDA wrapper for inference, over either of two Python packages.

May import `errors` only.
"""
