"""Object stores as INPUT and OUTPUT: their URLs, what is in them, fetching and putting.

May import `jobs` and what is below it; not `backends`.
"""
