"""OpenVINO: the quickest way to compute on processors, and one for Intel's GPUs and NPUs."""
