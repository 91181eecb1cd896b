"""What a browser sees: the signup, section by section, and the API docs. Everything is served by
ourselves, under a policy that allows no inline script or style and nothing from elsewhere. The
signup needs no script at all."""
