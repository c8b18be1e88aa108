"""The calibration report: Markdown and a chart.

May import the other stages.
"""
