"""Video files: reads frames as pictures, encodes pictures as frames, and writes the result.

The only package that uses PyAV. May import `image`, `system` and `errors`.
"""
