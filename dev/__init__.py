"""The embedded local stack: real Redis, S3 endpoint, api and worker on one machine.

Everything up to the first environment runs on the bare standard library of whatever Python
`./longshore` found. Only `provision_s3` and `list_objects` run inside an environment.
"""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
