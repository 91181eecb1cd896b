"""Who waits for a form to change, and who tells them."""
