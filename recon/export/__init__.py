"""Faces as files that other programs open, and sheets of pictures."""
