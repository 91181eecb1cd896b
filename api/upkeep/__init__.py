"""What is done without being asked: the sweep, a file a duty, and how much waits."""
