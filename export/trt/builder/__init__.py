"""Builds plans from graphs, and verifies them before they are kept.

May import `passes`, and what that may.
"""
