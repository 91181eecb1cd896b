"""What the api and the worker must agree on: statuses, jobs, calls, definitions, keys, logs."""
