"""Model repositories for the Triton Inference Server, with a client.

May import `export.trt.passes`, and what that may.
"""
