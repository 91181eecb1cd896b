"""The child process that decodes one file, and what it says to its parent.

Nothing here or below it imports pydantic or the S3 client: a file waits for this start.
"""
