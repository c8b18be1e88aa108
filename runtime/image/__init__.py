"""Pictures in memory, whole or in strips: their samples' colours, transparency, resizing.

How files state colours is read in `codecs`; here they are converted. May import `errors` only.
"""
