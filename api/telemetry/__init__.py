"""What this process says of itself: metrics, and what held its loop."""
