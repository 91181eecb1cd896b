"""The child process that decodes one file, and what it says to its parent."""
