"""What a calibration found, as Markdown and a chart.

May import the other stages.
"""
