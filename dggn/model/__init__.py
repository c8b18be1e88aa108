"""The generator: configuration, modules, weights on disk."""
