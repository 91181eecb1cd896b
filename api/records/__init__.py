"""All SQL: tables, guarded transitions, queries. No HTTP, no files, no Redis, no S3."""
