"""What is made of a good file: one module per kind. Run inside the decoding child."""
