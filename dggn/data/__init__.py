"""Training and evaluation pictures."""
