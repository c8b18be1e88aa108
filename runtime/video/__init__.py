"""Video files: what is read of them, how frames become pictures and back, and the finished file.

Knows PyAV, and nobody else does. May import `image`, `system` and `errors`.
"""
