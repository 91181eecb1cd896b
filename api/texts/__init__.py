"""What people read: errors, what to do about them, why a file was rejected, sizes."""
