"""What the worker looks at before it works, and what `python -m worker.check` shows of it."""
