"""Training campaigns, which train the shipped models in sessions on borrowed machines."""
