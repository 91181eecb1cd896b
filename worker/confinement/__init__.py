"""What a process can give up for good on Linux: its files, its system calls, its limits.

The means alone, and the standard library: what a decoder and LibreOffice keep, they say themselves.
All of it must happen while the process has one thread.
"""
