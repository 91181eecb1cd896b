"""Uploads: let in, acknowledged, worked on, tried again, taken away."""
