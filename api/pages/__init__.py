"""What a browser sees: the signup, section by section. It needs no script at all."""
