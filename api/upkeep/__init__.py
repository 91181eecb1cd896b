"""What is done without being asked: the sweep, and how much waits."""
