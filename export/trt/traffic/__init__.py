"""What an engine moves through a GPU's memory, read from a real builder's log without a GPU."""
