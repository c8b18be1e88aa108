"""Training: configuration, loss, loop."""
