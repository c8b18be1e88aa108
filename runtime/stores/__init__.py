"""Object stores as INPUT and OUTPUT: URLs, listings, downloads and uploads.

May import `jobs` and what is below it; not `backends`.
"""
