"""What a file is, whether its field accepts it, and what is made of it: a package per kind of file.

All of it runs inside the decoding child. `families.py` leads a file to its kind.
"""
