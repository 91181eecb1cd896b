"""What is reached outside besides the database: the queue, and links to the object store."""
