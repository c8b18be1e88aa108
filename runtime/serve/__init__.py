"""`dggn-serve`: pictures over HTTP, and a page for people.

May import every other package of the runtime; needs the extra `serve`.
"""
