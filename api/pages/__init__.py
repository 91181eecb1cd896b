"""What a browser sees: the demo form and the API docs. Everything is served by ourselves, under a
policy that allows no inline script or style and nothing from elsewhere."""
