"""OpenVINO: the fastest backend on CPUs, and one for Intel's GPUs and NPUs.

May import what `backends` may; only this package imports the library.
"""
