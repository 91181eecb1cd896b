"""The upload API: receives files, keeps the records, drives every upload to its end."""
