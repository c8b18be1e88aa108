"""INT8 calibration of exported models: a room without code so far."""
