"""Picture quality, as the field reports it."""
