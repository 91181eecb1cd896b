"""The virus scanner: clamd by its address, and what its word is worth."""

from worker.scanner.clamd import Clamd
from worker.scanner.scanner import Scanner

__all__ = ["Clamd", "Scanner"]
