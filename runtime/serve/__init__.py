"""`dggn-serve`: upscaling over HTTP, with a page for browsers.

May import every other package of the runtime; needs the extra `serve`.
"""
