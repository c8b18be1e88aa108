"""TensorRT, classic and for RTX, as one library with several ages of API."""
