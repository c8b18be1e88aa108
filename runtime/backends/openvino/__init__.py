"""OpenVINO: the fastest backend on CPUs, and one for Intel's GPUs and NPUs."""
