"""What is reached outside of the process besides the database: the queue, links to the object store."""
