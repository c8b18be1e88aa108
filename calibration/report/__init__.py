"""The report of a calibration: Markdown and a chart.

May import the other stages.
"""
