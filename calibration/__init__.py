"""INT8 calibration of exported models: explicit Q/DQ nodes, placed by measurement."""
