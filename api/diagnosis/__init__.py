"""What the api looks at before it serves, and what `python -m api.check` shows of it."""
