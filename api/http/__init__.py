"""What is the same for every request: ids, CORS, problems, preferences, unread bodies."""
