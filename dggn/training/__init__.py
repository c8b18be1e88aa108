"""Training: configuration, losses, the loop."""
