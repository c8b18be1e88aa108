"""Training campaigns: the shipped models, trained in sessions on borrowed machines."""
