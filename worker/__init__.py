"""The worker takes staged files to the bucket, checked and converted, and reports the outcome."""
