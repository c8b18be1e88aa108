"""Exported models: finding them, and the facts in their metadata.

May import `errors` only.
"""
