"""Thin: parse, call one use case, answer. Errors are raised, never caught here."""
