"""Whether a file is what its field accepts. Run inside the decoding child."""
