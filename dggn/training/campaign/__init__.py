"""Training campaigns, which train the shipped models in sessions on borrowed machines.

May import what `training` may; runs and measures models by commands.
"""
