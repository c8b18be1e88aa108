"""INT8 calibration of exported models: explicit Q/DQ, chosen by measurement."""
