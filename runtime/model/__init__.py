"""Facts about exported models: name, scale, tensor format; the files are in `runtime/models`.

May import `errors` only.
"""
