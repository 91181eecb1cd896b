"""What `/openapi.json` says beyond what FastAPI finds out by itself: every status with its headers,
every error code with an example, bodies that routes read from the stream."""
