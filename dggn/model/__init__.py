"""The generator: configuration, modules, weight files."""
